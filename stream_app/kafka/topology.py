"""Create the topics that the registry declares, and verify those that are there."""

from dataclasses import dataclass

import stamina
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.clients import bootstrap_servers, make_admin
from stream_app.settings import Settings
from topics.registry import TOPICS, Topic

SETTLE_TIMEOUT_S = 5.0

MISSING = "is missing"

SAFE_COPIES = 3
"""From so many copies on, the loss of one broker need not stop writes."""


class TopologyError(ClipfoldError):
    """The topics in Kafka are not as declared; the message says what differs and how to mend it."""

    stage = "topics"

    def __init__(self, message: str, *, may_settle: bool = False) -> None:
        super().__init__(message)
        self.may_settle = may_settle


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between a topic and its declaration, and what to type."""

    topic: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what}; mend it with: {self.mend}"


async def create_topics(settings: Settings, *, align: bool = False) -> tuple[str, ...]:
    """Create what is missing, then verify all; returns the names created.

    With `align` the settings of topics that are there are brought to what is declared. Programs do not do
    that at their start: whoever changed a setting may have meant it, and is told.

    Raises:
        TopologyError: a topic is not as declared; the message has the command that mends it.
    """
    admin = make_admin(settings)
    await admin.start()
    try:
        missing = [topic for topic in TOPICS if topic.name not in set(await admin.list_topics())]
        copies = await _copies(admin, settings)
        await _create(admin, missing, settings.kafka_replication_factor, copies)
        if align:
            await _align_configs(admin, copies)
    finally:
        await admin.close()
    # What was changed, here or by a role that starts at the same time, takes each broker a moment to tell.
    changed = bool(missing) or align

    def may_settle(error: Exception) -> bool:
        return isinstance(error, TopologyError) and (changed or error.may_settle)

    async for attempt in stamina.retry_context(on=may_settle, attempts=None, timeout=SETTLE_TIMEOUT_S):
        with attempt:
            await verify_topics(settings)
    return tuple(topic.name for topic in missing)


async def verify_topics(settings: Settings) -> None:
    """Check that every topic is there as declared.

    Raises:
        TopologyError: naming every difference and the command that mends it.
    """
    if mismatches := await find_mismatches(settings):
        raise TopologyError(
            "\n".join(map(str, mismatches)),
            may_settle=any(mismatch.what == MISSING for mismatch in mismatches),
        )


async def find_mismatches(settings: Settings) -> list[Mismatch]:
    """Every difference between the registry and Kafka."""
    admin = make_admin(settings)
    await admin.start()
    try:
        described = {
            topic["topic"]: topic
            for topic in await admin.describe_topics([topic.name for topic in TOPICS])
            if not topic["error_code"]
        }
        configs = await _configs(admin, [topic.name for topic in TOPICS if topic.name in described])
        copies = await _copies(admin, settings)
    finally:
        await admin.close()
    return [
        mismatch
        for topic in TOPICS
        for mismatch in _compare(
            topic, described.get(topic.name), configs.get(topic.name, {}), copies, settings
        )
    ]


def _compare(
    topic: Topic,
    described: dict[str, list[dict[str, list[int]]]] | None,
    configs: dict[str, str],
    copies: int,
    settings: Settings,
) -> list[Mismatch]:
    if described is None:
        return [Mismatch(topic.name, MISSING, "clipfold topics create")]
    mismatches = [
        Mismatch(topic.name, f"{name} is {configs.get(name)}, {value} is needed", "clipfold topics create")
        for name, value in _needed(topic, copies).items()
        if configs.get(name) != value
    ]
    kept = min(len(partition["replicas"]) for partition in described["partitions"])
    if kept < copies:
        mismatches.append(
            Mismatch(
                topic.name,
                f"has {kept} {'copy' if kept == 1 else 'copies'}, {copies} are needed",
                f"kafka-reassign-partitions.sh --bootstrap-server {bootstrap_servers(settings)} --execute "
                "--reassignment-json-file FILE, which names the brokers of each copy",
            )
        )
    partitions = len(described["partitions"])
    if partitions != topic.partitions:
        mismatches.append(
            Mismatch(
                topic.name,
                f"has {partitions} partitions, {topic.partitions} are needed; that of a keyed topic "
                "must never change: copy what you need of it elsewhere first",
                f"kafka-topics.sh --bootstrap-server {bootstrap_servers(settings)} --delete "
                f"--topic {topic.name} && clipfold topics create",
            )
        )
    return mismatches


async def _copies(admin: AIOKafkaAdminClient, settings: Settings) -> int:
    """How often each record is to be kept: as the setting says, else as the brokers do by default."""
    if settings.kafka_replication_factor > 0:
        return settings.kafka_replication_factor
    (broker, *_) = (await admin.describe_cluster())["brokers"]
    name = "default.replication.factor"
    resource = ConfigResource(ConfigResourceType.BROKER, str(broker["node_id"]), {name: ""})
    (response,) = await admin.describe_configs([resource])
    # Whoever may not ask for it is told nothing: then one copy is all that can be demanded.
    told = {entry[0]: entry[1] for each in response.resources if not each[0] for entry in each[4]}
    return int(told.get(name) or 1)


def _needed(topic: Topic, copies: int) -> dict[str, str]:
    """The settings of a topic whose records are kept so often.

    With three copies a record counts as written when two have it: then no broker alone can lose it.
    """
    return topic.configs | ({"min.insync.replicas": "2"} if copies >= SAFE_COPIES else {})


async def _create(
    admin: AIOKafkaAdminClient, missing: list[Topic], replication_factor: int, copies: int
) -> None:
    response = await admin.create_topics([_declared(topic, replication_factor, copies) for topic in missing])
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        # Another process may create them at the same moment.
        if code and error is not TopicAlreadyExistsError:
            raise TopologyError(
                f"{name} cannot be created: {error.__name__}: {message[0] if message else ''}"
            )


def _declared(topic: Topic, replication_factor: int, copies: int) -> NewTopic:
    declared = NewTopic(topic.name, topic.partitions, 1, topic_configs=_needed(topic, copies))
    # Set afterwards, because aiokafka refuses the -1 that Kafka takes for "the broker's default".
    declared.replication_factor = replication_factor
    return declared


async def _align_configs(admin: AIOKafkaAdminClient, copies: int) -> None:
    there = await _configs(admin, [topic.name for topic in TOPICS])
    for topic in TOPICS:
        current = there.get(topic.name, {})
        needed = _needed(topic, copies)
        if any(current.get(name) != value for name, value in needed.items()):
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, needed)])


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    responses = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in responses
        for resource in response.resources
        if not resource[0]
    }
