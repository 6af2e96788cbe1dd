"""Many changes in a short time, most of them wrong or late: at the end everybody says the same."""

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream_app.kafka.clients import make_admin, make_consumer
from stream_app.kafka.topology import create_topics
from stream_app.settings import Settings
from tests.broker_fixture import own_kafka
from tests.integration.render.roles import Role, wait_until
from tests.served import Answer, Serve
from topics.config import CONFIG_KEY
from topics.registry import RENDER_CONFIG

CONFIG = "/api/v1/render/config"
WRONG = [
    {"max_parallelism": 65},
    {"max_retry": "3"},
    {"surprise": 1},
    {"placeholder_asset_path": "README.md"},
    {},
]


class Cluster:
    """Two of each role, on one Kafka."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.settings = Settings(kafka_bootstrap=bootstrap)
        self.serves = [Serve(bootstrap, folder, f"serve-{number}").start() for number in range(2)]
        self.workers = [self.start_worker(f"worker-{number}") for number in range(2)]

    def start_worker(self, name: str) -> Role:
        environment = {**self.serves[0].role.environment, "RENDER_METRICS_PORT": "0"}
        worker = Role("worker", environment, self.folder / f"{name}.log").start()
        worker.wait_for("render_worker.started", timeout_s=120)
        return worker

    def stop(self) -> None:
        roles = [*self.workers, *(serve.role for serve in self.serves)]
        ends = [(role, role.terminate()) for role in roles]
        assert not [role.log.read_text()[-5000:] for role, code in ends if code]

    def config(self) -> dict[str, Any]:
        """What both say over HTTP, once they say the same."""
        one, other = self.serves
        wait_until(lambda: one.ask(CONFIG).body == other.ask(CONFIG).body, "both agree")
        config: dict[str, Any] = one.ask(CONFIG).body
        return config

    def type(self, config: str, key: str = CONFIG_KEY) -> None:
        command = ["kcat", "-b", self.bootstrap, "-P", "-t", RENDER_CONFIG.name, "-K:"]
        subprocess.run(command, input=f"{key}:{config}\n", text=True, timeout=60, check=True)

    async def records(self) -> list[ConsumerRecord]:
        consumer = make_consumer(self.settings)
        await consumer.start()
        try:
            partition = TopicPartition(RENDER_CONFIG.name, 0)
            consumer.assign([partition])
            end = (await consumer.end_offsets([partition]))[partition]
            consumer.seek(partition, (await consumer.beginning_offsets([partition]))[partition])
            found: list[ConsumerRecord] = []
            while await consumer.position(partition) < end:
                batches = await asyncio.wait_for(consumer.getmany(timeout_ms=1000), 60)
                found += [record for batch in batches.values() for record in batch]
            return [record for record in found if record.key == CONFIG_KEY.encode()]
        finally:
            await consumer.stop()

    async def let_compact(self) -> None:
        """Have Kafka compact as soon as it can, which it does otherwise within an hour."""
        admin = make_admin(self.settings)
        await admin.start()
        try:
            quick = {**RENDER_CONFIG.configs, "segment.ms": "100", "max.compaction.lag.ms": "100"}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, RENDER_CONFIG.name, quick)])
        finally:
            await admin.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with own_kafka(folder / "kafka") as bootstrap:
        cluster = Cluster(bootstrap, folder)
        yield cluster
        cluster.stop()


def in_force(worker: Role) -> dict[str, Any]:
    """The last config that a worker said it obeys."""
    said = [line for line in worker.lines() if line["event"] == "render_worker.config_hot_reload"][-1]
    return {("max_parallelism" if name == "new_parallelism" else name): said[name] for name in said}


def assert_obeyed(worker: Role, config: dict[str, Any]) -> None:
    worker.wait_for("render_worker.config_hot_reload", config_version=config["config_version"])
    assert config.items() <= in_force(worker).items()


def ask(cluster: Cluster, number: int, stale: str) -> Answer:
    """Of ten: five are wrong, two late, three good."""
    serve = cluster.serves[number % 2]
    kind = number % 10
    if kind < 5:
        return serve.ask(CONFIG, "PATCH", WRONG[kind])
    if kind < 7:
        return serve.ask(CONFIG, "PATCH", {"max_retry": 1}, {"If-Match": stale})
    return serve.ask(CONFIG, "PATCH", {"max_parallelism": 1 + number % 3, "retry_backoff_ms": 1000 + number})


def test_a_hundred_changes_leave_one_config_for_all(cluster: Cluster) -> None:
    stale = cluster.serves[0].ask(CONFIG).headers["ETag"]
    cluster.serves[0].ask(CONFIG, "PATCH", {"max_retry": 3})
    started = time.monotonic()
    with ThreadPoolExecutor(8) as at_once:
        answers = [at_once.submit(ask, cluster, number, stale) for number in range(100)]
        for number in range(5):
            cluster.type(json.dumps({"per_video_limit": number + 1}))
            cluster.type('{"per_video_limit": 0}')
        statuses = Counter(answer.result().status for answer in answers)
    assert time.monotonic() - started <= 30
    assert statuses == {422: 50, 412: 20, 200: 30}

    told = asyncio.run(cluster.records())
    good = [record for record in told if (b"retry_backoff_ms" in (record.value or b""))]
    assert len(good) >= 30
    wait_until(lambda: len(_letters(cluster)) == 5, "the five bad ones are put aside, once each")
    config = cluster.config()
    assert (config["per_video_limit"], config["max_retry"]) == (5, 3)
    for worker in cluster.workers:
        assert_obeyed(worker, config)
    assert_topic_says(cluster, config)
    late = cluster.start_worker("late")
    cluster.workers.append(late)
    assert_obeyed(late, config)


def test_when_the_keeper_is_killed_another_one_keeps_the_topic(cluster: Cluster) -> None:
    before = cluster.config()
    known = len(_letters(cluster))
    for number, serve in enumerate(cluster.serves, start=1):  # one of them is the keeper
        serve.role.kill()
        cluster.type('{"max_retry": -1}')
        wait_until(lambda number=number: len(_letters(cluster)) == known + number, "it is put aside")
        assert_topic_says(cluster, before)
        serve.role.start()
        serve.role.wait_for("serve.started", count=2, timeout_s=120)
    assert cluster.config() == before
    assert len(_letters(cluster)) == known + 2


def _letters(cluster: Cluster) -> list[str]:
    command = ["kcat", "-b", cluster.bootstrap, "-q", "-C", "-t", "dead-letters", "-e", "-o", "beginning"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def assert_topic_says(cluster: Cluster, config: dict[str, Any]) -> None:
    """The last record alone: the others may be compacted away at any time."""

    def says() -> bool:
        last = asyncio.run(cluster.records())[-1]
        headers = {name: value.decode() for name, value in last.headers}
        version = int(headers.get("config-version", last.offset))
        try:
            return bool({**json.loads(last.value), "config_version": version} == config)
        except ValueError:
            return False

    wait_until(says, "the last record says what is in force")


def is_compacted(cluster: Cluster) -> bool:
    # What was written last is never compacted: something else has to follow it.
    cluster.type("{}", key="another")
    return len(asyncio.run(cluster.records())) == 1


@pytest.mark.parametrize("last", ["a change", "a restatement"])
def test_who_starts_after_compaction_has_the_same_config(cluster: Cluster, last: str) -> None:
    asyncio.run(cluster.let_compact())
    try:
        if last == "a change":
            cluster.serves[1].ask(CONFIG, "PATCH", {"max_parallelism": 2, "max_retry": 7})
        else:
            cluster.type('{"max_parallelism": 3, "per_video_limit": 4}')
            wait_until(lambda: cluster.config()["per_video_limit"] == 4, "it is in force")
            cluster.type("not json")
        config = cluster.config()
        assert_topic_says(cluster, config)
        wait_until(lambda: is_compacted(cluster), "one record is left", poll_s=0.5)
    finally:
        # Who starts wants the topic as it is declared.
        asyncio.run(create_topics(cluster.settings, align=True))
    late = cluster.start_worker(f"after {last}")
    cluster.workers.append(late)
    (first, *_) = (line for line in late.lines() if line["event"] == "render_worker.config_hot_reload")
    assert first["config_version"] == config["config_version"]
    assert_obeyed(late, config)
    after = cluster.serves[0].ask(
        CONFIG, "PATCH", {"max_retry": 8}, {"If-Match": f'"{config["config_version"]}"'}
    )
    assert after.status == 200
    for worker in cluster.workers:
        assert_obeyed(worker, after.body)
