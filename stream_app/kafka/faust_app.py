"""The Faust app, with every setting that its known faults make necessary.

Faust runs what is short and ordered: its acknowledgements are safe only for one event of a partition at a
time (docs/adr/0002-who-reads-with-what.md).
"""

import asyncio

import faust
from aiokafka import TopicPartition
from faust.auth import Credentials
from faust.exceptions import ConsumerNotStarted

from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.clients import METADATA_MAX_AGE_MS, bootstrap_servers, ssl_context
from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger
from topics.registry import MAX_MESSAGE_BYTES

NEVER_S = 86_400
"""Faust leaves the group for ever when nothing came for `broker_max_poll_interval`: so it is a day."""

STOP_TIMEOUT_S = 30.0

log = get_logger()


def make_faust_app(settings: Settings, group_id: str) -> faust.App:
    """A Faust app whose consumer group is `group_id`; agents are declared on it by the caller."""
    urls = ";".join(f"kafka://{address}" for address in bootstrap_servers(settings).split(","))
    session_s = settings.kafka_session_timeout_ms / 1000
    app = faust.App(
        group_id,
        broker=urls,
        broker_credentials=_credentials(settings),
        broker_session_timeout=session_s,
        broker_heartbeat_interval=max(session_s / 5, 0.1),
        broker_rebalance_timeout=session_s * 3,
        broker_max_poll_interval=NEVER_S,
        broker_commit_interval=1.0,
        consumer_group_instance_id=settings.worker_id,
        consumer_max_fetch_size=MAX_MESSAGE_BYTES,
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        producer_acks=-1,
        stream_buffer_maxsize=256,
        stream_wait_empty=True,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        store="memory://",
        datadir=str(settings.artifacts_dir / ".faust"),
        web_enabled=False,
        worker_redirect_stdouts=False,
        autodiscover=False,
    )

    @app.on_partitions_assigned.connect  # type: ignore[arg-type] # mode's type of a handler fits no function
    async def tell(_: faust.App, assigned: set[TopicPartition], **__: object) -> None:
        partitions = sorted(each.partition for each in assigned)
        log.info("kafka.partitions_assigned", group=group_id, partitions=partitions)

    return app


async def run_faust(app: faust.App, stop: asyncio.Event) -> None:
    """Run the app inside the caller's event loop until `stop`.

    Raises:
        ClipfoldError: the app ended by itself; the process should end too and be started again.
    """
    await app.start()
    stopping = asyncio.create_task(stop.wait())
    ending = asyncio.create_task(app.wait_until_stopped())
    try:
        await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise ClipfoldError(f"Faust has stopped: {app.crash_reason!r}") from app.crash_reason
        if app.crash_reason is not None:
            # What it has not committed is done again by the next owner, with the same ids.
            log.warning("kafka.faust_crashed_at_stop", error=repr(app.crash_reason))
    finally:
        stopping.cancel()
        ending.cancel()
        await asyncio.wait_for(app.stop(), STOP_TIMEOUT_S)


def owned_partitions(app: faust.App) -> set[TopicPartition]:
    """The partitions that the app's consumer owns now; none before it has joined its group."""
    try:
        return {TopicPartition(*partition) for partition in app.consumer.assignment()}
    except ConsumerNotStarted:
        return set()


def _credentials(settings: Settings) -> Credentials | None:
    protocol = settings.kafka_security_protocol
    context = ssl_context(settings) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None
