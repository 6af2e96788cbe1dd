"""What a broken connection raises that aiokafka did not make an error of its own of: every reader goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from stream_app.agents.mix_index import MixIndex
from stream_app.kafka.mix_watch import MixWatch
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.topology import create_topics
from stream_app.settings import Settings
from topics.groups import ASSEMBLER_GROUP

TIMEOUT_S = 30


@pytest.fixture
async def settings(kafka_bootstrap: str) -> Settings:
    settings = Settings(kafka_bootstrap=kafka_bootstrap)
    await create_topics(settings)
    return settings


@pytest.fixture(params=[ConnectionResetError("by peer"), TimeoutError()], ids=["reset", "timeout"])
def breaks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first question of a consumer fails; in the list once it did."""
    done: list[str] = []
    ask: Callable[..., Any] = AIOKafkaConsumer.end_offsets

    async def ask_or_break(self: AIOKafkaConsumer, *arguments: Any) -> Any:
        if not done:
            done.append("broken")
            raise request.param
        return await ask(self, *arguments)

    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", ask_or_break)
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
    assert (known, breaks) == (None, ["broken"])


async def test_the_watch_over_mixes_goes_on(settings: Settings, breaks: list[str]) -> None:
    watch = MixWatch(settings, ASSEMBLER_GROUP)
    async with running(watch):
        await watch.ready.wait()
    assert breaks == ["broken"]


async def test_the_config_is_read_all_the_same(settings: Settings, breaks: list[str]) -> None:
    reader = RenderConfigReader(settings)
    async with running(reader):
        await reader.ready.wait()
    assert breaks == ["broken"]
