"""A Kafka of its own, and the parts of `serve` that keep its config, as many times as a test needs."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from stream_app.config.parts import changing_config
from stream_app.config.service import ConfigService
from stream_app.config.writer import ConfigWriter
from stream_app.domain.config import ConfigRecord, ConfigState, Step, apply_record, default_config
from stream_app.kafka.clients import make_consumer
from stream_app.kafka.group_reader import GroupReader
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.topology import create_topics
from stream_app.kafka.writer import Writer, open_writer
from stream_app.settings import Settings
from tests.broker_fixture import own_kafka
from topics.config import CONFIG_KEY
from topics.groups import KEEPER_GROUP
from topics.registry import RENDER_CONFIG

TIMEOUT_S = 60
PLACEHOLDER = Path("media/fallback/clip_placeholder.mp4")


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with own_kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture
async def settings(bootstrap: str, tmp_path: Path) -> Settings:
    media = tmp_path / "media root"
    media.mkdir()
    shutil.copy(PLACEHOLDER, media / "good.mp4")
    (media / "text.mp4").write_text("no video at all")
    settings = Settings(
        kafka_bootstrap=bootstrap,
        artifacts_dir=tmp_path / "artifacts",
        media_roots=(media, Path()),
        kafka_session_timeout_ms=6000,
    )
    await create_topics(settings)
    return settings


@dataclass(frozen=True)
class Process:
    """What one `serve` has."""

    reader: RenderConfigReader
    service: ConfigService
    config_writer: ConfigWriter
    writer: Writer

    @property
    def config(self) -> dict[str, Any]:
        return self.reader.current.config.model_dump()


@asynccontextmanager
async def process(settings: Settings, *, keeps: bool = True) -> AsyncIterator[Process]:
    """A process that has read all there is; one that `keeps` takes its part in the keeping of the topic."""
    reader, stop = RenderConfigReader(settings), asyncio.Event()
    async with (
        open_writer(settings, "serve") as writer,
        changing_config(settings, writer, reader) as parts,
        asyncio.TaskGroup() as running,
    ):
        running.create_task(reader.run(stop))
        if keeps:
            group = GroupReader(settings, RENDER_CONFIG, KEEPER_GROUP, parts.keeper, window=None)
            running.create_task(parts.keeper.run(stop))
            running.create_task(group.run(stop))
        await asyncio.wait_for(reader.ready.wait(), TIMEOUT_S)
        try:
            yield Process(reader, parts.service, ConfigWriter(writer, reader), writer)
        finally:
            stop.set()


class Typist:
    """Somebody with kcat."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def type(self, value: str | dict[str, Any], key: str = CONFIG_KEY) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        kcat = await asyncio.create_subprocess_exec(
            *("kcat", "-b", self._bootstrap, "-P", "-t", RENDER_CONFIG.name, "-K:"),
            stdin=asyncio.subprocess.PIPE,
        )
        await asyncio.wait_for(kcat.communicate(f"{key}:{text}\n".encode()), TIMEOUT_S)
        assert kcat.returncode == 0

    async def delete(self) -> None:
        kcat = await asyncio.create_subprocess_exec(
            *("kcat", "-b", self._bootstrap, "-P", "-t", RENDER_CONFIG.name, "-K:", "-Z"),
            stdin=asyncio.subprocess.PIPE,
        )
        await asyncio.wait_for(kcat.communicate(f"{CONFIG_KEY}:\n".encode()), TIMEOUT_S)
        assert kcat.returncode == 0


@pytest.fixture
def typist(bootstrap: str) -> Typist:
    return Typist(bootstrap)


async def records(settings: Settings, topic: str) -> list[ConsumerRecord]:
    """Everything that a topic of one partition holds now."""
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, (await consumer.beginning_offsets([partition]))[partition])
        found: list[ConsumerRecord] = []
        while await consumer.position(partition) < end:
            batches = await asyncio.wait_for(consumer.getmany(timeout_ms=1000), TIMEOUT_S)
            found += [record for batch in batches.values() for record in batch]
        return found
    finally:
        await consumer.stop()


def after_compaction(told: list[ConsumerRecord]) -> Step:
    """What a process finds whose Kafka has kept nothing but the last record of the key."""
    last = [record for record in told if record.key == CONFIG_KEY.encode()][-1]
    default = default_config(4)
    return apply_record(ConfigState(default), default, ConfigRecord.of(last.offset, last.value, last.headers))


async def until(holds: Any, what: str) -> None:
    """Wait until `holds()`, awaited when it is to be, is true."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        result = holds()
        if (await result) if asyncio.iscoroutine(result) else result:
            return
        assert time.monotonic() < deadline, f"not within {TIMEOUT_S} s: {what}"
        await asyncio.sleep(0.02)
