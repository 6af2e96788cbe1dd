"""What a broken connection raises that aiokafka makes no error of its own of: readers and writers go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from stream_app.agents.mix_index import MixIndex
from stream_app.kafka.mix_watch import MixWatch
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.writer import open_writer
from stream_app.settings import Settings
from topics.groups import ASSEMBLER_GROUP
from topics.registry import MIX_EVENTS

TIMEOUT_S = 30


@pytest.fixture(params=[ConnectionResetError("by peer"), TimeoutError()], ids=["reset", "timeout"])
def breaks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first question of a consumer fails, and the first send; in the list what did."""
    done: list[str] = []

    def once(client: type, name: str) -> None:
        whole: Callable[..., Any] = getattr(client, name)

        async def whole_or_broken(*arguments: Any, **options: Any) -> Any:
            if name not in done:
                done.append(name)
                raise request.param
            return await whole(*arguments, **options)

        monkeypatch.setattr(client, name, whole_or_broken)

    once(AIOKafkaConsumer, "end_offsets")
    once(AIOKafkaProducer, "send_and_wait")
    return done


@asynccontextmanager
async def running(reader: MixWatch | RenderConfigReader) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(reader.run(stop))
        yield
        stop.set()


async def test_intake_reads_the_log_all_the_same(settings: Settings, breaks: list[str]) -> None:
    index = MixIndex(settings)
    async with asyncio.timeout(TIMEOUT_S):
        known, _ = await index.get(0, "nobody-asked")
        await index.close()
    assert (known, breaks) == (None, ["end_offsets"])


async def test_the_watch_over_mixes_goes_on(settings: Settings, breaks: list[str]) -> None:
    watch = MixWatch(settings, ASSEMBLER_GROUP)
    async with running(watch):
        await watch.ready.wait()
    assert breaks == ["end_offsets"]


async def test_the_config_is_read_all_the_same(settings: Settings, breaks: list[str]) -> None:
    reader = RenderConfigReader(settings)
    async with running(reader):
        await reader.ready.wait()
    assert breaks == ["end_offsets"]


async def test_what_is_sent_is_sent_again(settings: Settings, breaks: list[str]) -> None:
    async with asyncio.timeout(TIMEOUT_S), open_writer(settings, "test") as writer:
        sent = await writer.send(MIX_EVENTS.name, b"no-mix", None, partition=0)
    assert (sent.partition, breaks) == (0, ["send_and_wait"])
