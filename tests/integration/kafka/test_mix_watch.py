"""The watch over mixes against a real broker: right from the start, and current within milliseconds."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from stream_app.domain.mix import Mix
from stream_app.kafka.clients import make_consumer
from stream_app.kafka.mix_watch import MixWatch
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from tests.unit.domain.events import COMMON, accepted, completed, rendered
from tests.unit.domain.test_attempts import first_task
from topics.events import MixCancelled, MixEvent
from topics.registry import MIX_EVENTS
from topics.tasks import ClipTask


class Story:
    """A mix of its own, written to the log event by event."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.mix_id = f"watched-{uuid4().hex[:8]}"

    async def tell(self, event: MixEvent) -> None:
        await self._writer.send_event(event.model_copy(update={"mix_id": self.mix_id}))

    async def cancel(self) -> None:
        await self.tell(MixCancelled(**COMMON, reason="requested", message="m"))

    def task(self, clip_task_id: str, **changes: Any) -> ClipTask:
        return first_task("v", mix_id=self.mix_id, clip_task_id=clip_task_id, **changes)


@pytest.fixture
async def writer(settings: Settings) -> AsyncIterator[Writer]:
    writer = Writer(settings, "test")
    await writer.start()
    yield writer
    await writer.stop()


@pytest.fixture
def group() -> str:
    """An assembler's group of the test's own."""
    return f"assembler-{uuid4().hex[:8]}"


@asynccontextmanager
async def watching(settings: Settings, group: str) -> AsyncIterator[MixWatch]:
    watch, stop = MixWatch(settings, group), asyncio.Event()
    running = asyncio.create_task(watch.run(stop))
    try:
        await asyncio.wait_for(watch.ready.wait(), 30)
        yield watch
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def commit_all(settings: Settings, group: str) -> None:
    """The group says that all of the log so far has been dealt with."""
    partitions = [TopicPartition(MIX_EVENTS.name, number) for number in range(MIX_EVENTS.partitions)]
    consumer = make_consumer(settings, group_id=group)
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.commit(await consumer.end_offsets(partitions))
    finally:
        await consumer.stop()


async def test_what_the_log_says_is_known_when_the_watch_is_ready(
    settings: Settings, writer: Writer, group: str
) -> None:
    going, ended = Story(writer), Story(writer)
    await going.tell(accepted("a", "b"))
    await going.tell(completed("a"))
    await going.tell(accepted("b", "c", revision=2))
    await ended.tell(accepted("a"))
    await ended.tell(rendered(Mix().stats()))
    async with watching(settings, group) as watch:
        assert [watch.wants(going.task(task)) for task in ("a", "b", "c")] == [False, True, True]
        assert watch.wants(ended.task("a")) is None


async def test_it_begins_where_the_assemblers_stand(settings: Settings, writer: Writer, group: str) -> None:
    before, after = Story(writer), Story(writer)
    await before.tell(accepted("a"))
    await commit_all(settings, group)
    await after.tell(accepted("a"))
    async with watching(settings, group) as watch:
        assert watch.wants(before.task("a")) is None
        assert watch.wants(after.task("a")) is True


async def test_a_mix_that_was_just_accepted_is_known_after_catching_up_without_waiting_for_a_poll(
    settings: Settings, writer: Writer, group: str
) -> None:
    async with watching(settings, group) as watch:
        took = []
        for _ in range(20):
            story = Story(writer)
            await story.tell(accepted("a"))
            started = time.monotonic()
            await asyncio.wait_for(watch.catch_up(), 30)
            took.append(time.monotonic() - started)
            assert watch.wants(story.task("a")) is True
        # Milliseconds on an idle machine; half of them within a tenth of a second on any.
        assert sorted(took)[10] < 0.1


async def test_ends_and_revisions_are_told_to_who_must_act_on_them(
    settings: Settings, writer: Writer, group: str
) -> None:
    async with watching(settings, group) as watch:
        told: asyncio.Queue[str] = asyncio.Queue()
        watch.on_change = told.put_nowait
        story = Story(writer)
        await story.tell(accepted("a", "b"))
        await story.tell(accepted("b", revision=2))
        assert await asyncio.wait_for(told.get(), 30) == story.mix_id
        await story.cancel()
        assert await asyncio.wait_for(told.get(), 30) == story.mix_id
        assert watch.wants(story.task("b")) is None
        assert told.empty()
