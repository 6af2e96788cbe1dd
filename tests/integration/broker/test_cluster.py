"""Three brokers: what two of them have acknowledged survives any one, and the lost one comes back."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream_app.domain.errors import UsageError
from stream_app.kafka import broker
from stream_app.kafka.clients import make_admin, make_consumer, make_producer
from stream_app.kafka.topology import create_topics, find_mismatches
from stream_app.settings import Settings
from topics.registry import MIX_EVENTS, TOPICS

TIMEOUT_S = 60


@pytest.fixture(scope="module")
def cluster_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose three brokers run, with the topics on them."""
    home = tmp_path_factory.mktemp("cluster")
    try:
        running = broker.start(home, brokers=3, cache=broker.default_home(), timeout_s=300)
        asyncio.run(create_topics(Settings(kafka_bootstrap=running.bootstrap)))
        yield home
    finally:
        broker.stop(home)


@pytest.fixture
def cluster(cluster_home: Path) -> broker.Broker:
    return broker.start(cluster_home, cache=broker.default_home())


@pytest.fixture
def settings(cluster: broker.Broker) -> Settings:
    return Settings(kafka_bootstrap=cluster.bootstrap)


def clipfold(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "RENDER_KAFKA_BOOTSTRAP"}
    return subprocess.run(
        [sys.executable, "-m", "stream_app.cli", *arguments],
        env={**environment, "RENDER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def pid_of(node: broker.BrokerNode) -> int:
    assert node.pid is not None
    return node.pid


async def leader_of(settings: Settings, partition: int) -> int:
    """The number of the broker that takes the records of this partition of the log."""
    admin = make_admin(settings)
    await admin.start()
    try:
        (topic,) = await admin.describe_topics([MIX_EVENTS.name])
        leaders: dict[int, int] = {each["partition"]: each["leader"] for each in topic["partitions"]}
        return leaders[partition]
    finally:
        await admin.close()


async def test_topics_are_kept_three_times_and_that_is_checked(settings: Settings) -> None:
    assert await find_mismatches(settings) == []
    admin = make_admin(settings)
    await admin.start()
    try:
        described = await admin.describe_topics([topic.name for topic in TOPICS])
        replicas = {len(each["replicas"]) for topic in described for each in topic["partitions"]}
        assert replicas == {3}
        spoilt = {**MIX_EVENTS.configs, "min.insync.replicas": "1"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, MIX_EVENTS.name, spoilt)])
    finally:
        await admin.close()
    await wait_for_mismatches(settings, {"min.insync.replicas is 1, 2 is needed"})
    await create_topics(settings, align=True)
    await wait_for_mismatches(settings, set())
    asks_for_more = settings.model_copy(update={"kafka_replication_factor": 4})
    assert {each.what for each in await find_mismatches(asks_for_more)} == {"has 3 copies, 4 are needed"}


async def wait_for_mismatches(settings: Settings, expected: set[str]) -> None:
    """Each broker takes a moment of its own to know, and any of them may be asked."""
    async with asyncio.timeout(TIMEOUT_S):
        while {each.what for each in await find_mismatches(settings)} != expected:  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.05)


async def test_a_lost_leader_loses_no_acknowledged_record_and_comes_back(
    cluster: broker.Broker, cluster_home: Path, settings: Settings, kill: Callable[[int], None]
) -> None:
    leader = await leader_of(settings, 0)
    sent = [f"record {number}".encode() for number in range(100)]
    async with asyncio.timeout(TIMEOUT_S), make_producer(settings) as producer:
        for number, value in enumerate(sent):
            if number == len(sent) // 2:
                await asyncio.to_thread(kill, pid_of(cluster.nodes[leader - 1]))
            await send(producer, value)
    assert await leader_of(settings, 0) != leader
    seen = await asyncio.to_thread(broker.status, cluster_home)
    assert seen is not None
    assert [node.pid is None for node in seen.nodes] == [node.number == leader for node in seen.nodes]

    again = await asyncio.to_thread(broker.start, cluster_home, cache=broker.default_home())

    assert again.started == {leader}
    assert not again.started_here
    assert again.bootstrap == cluster.bootstrap
    assert await records(settings, len(sent)) == sent
    (other, *_) = (node for node in again.nodes if node.number != leader)
    await asyncio.to_thread(kill, pid_of(other))
    assert await records(settings, len(sent)) == sent


async def send(producer: AIOKafkaProducer, value: bytes) -> None:
    await producer.send_and_wait(MIX_EVENTS.name, value, partition=0)


async def records(settings: Settings, count: int) -> list[bytes]:
    """The first records of the partition, each value once."""
    async with asyncio.timeout(TIMEOUT_S), make_consumer(settings, MIX_EVENTS.name) as consumer:
        return await read(consumer, count)


async def read(consumer: AIOKafkaConsumer, count: int) -> list[bytes]:
    found: dict[bytes, None] = {}
    async for record in consumer:
        found[record.value] = None
        if len(found) == count:
            return list(found)
    raise AssertionError


def test_the_commands_speak_of_every_broker(
    cluster: broker.Broker, cluster_home: Path, kill: Callable[[int], None]
) -> None:
    lost = cluster.nodes[1]
    kill(pid_of(lost))

    facts = json.loads(clipfold(cluster_home, "kafka", "status", "--json").stdout)
    assert [node["pid"] is None for node in facts["nodes"]] == [False, True, False]
    assert facts["running"]
    assert facts["bootstrap"] == cluster.bootstrap
    assert "node 2     down" in clipfold(cluster_home, "kafka", "status").stdout
    refused = clipfold(cluster_home, "kafka", "start", "--brokers", "1")
    assert refused.returncode == 2
    assert "those of 3 brokers and cannot become those of one broker" in refused.stderr
    assert broker.start(cluster_home, cache=broker.default_home()).started == {2}


def test_a_stopped_cluster_comes_back_whole_with_what_it_had(
    cluster: broker.Broker, cluster_home: Path, settings: Settings, is_running: Callable[[int], bool]
) -> None:
    assert broker.stop(cluster_home)
    assert not any(is_running(pid_of(node)) for node in cluster.nodes)
    assert broker.status(cluster_home) is None

    again = broker.start(cluster_home, cache=broker.default_home())

    assert again.started_here
    assert again.bootstrap == cluster.bootstrap
    assert len({node.data_dir for node in again.nodes}) == 3
    assert asyncio.run(find_mismatches(settings)) == []


def test_the_data_of_one_broker_stay_of_one(home: Path) -> None:
    one = broker.start(home, cache=broker.default_home())
    with pytest.raises(UsageError, match="those of one broker and cannot become those of 3 brokers"):
        broker.start(home, brokers=3)
    assert broker.status(home) == replace(one, started=frozenset())
    with pytest.raises(UsageError, match="1 or 3 brokers, not with 2"):
        broker.start(home, brokers=2)
