"""A mix's earlier events, read again from a real log: those asked for, all of them, and nobody else's."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from stream_app.kafka.follow import recall_mix
from stream_app.kafka.partitioning import home_partition
from stream_app.kafka.topology import create_topics
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from tests.unit.domain.events import accepted, completed, placeholder
from topics.codec import encode
from topics.events import MixEvent
from topics.registry import MIX_EVENTS


class Teller:
    """Appends events of any mix to one partition, and says where each stands."""

    def __init__(self, writer: Writer, partition: int) -> None:
        self._writer = writer
        self._partition = partition

    async def tell(self, mix_id: str, event: MixEvent) -> int:
        value = encode(event.model_copy(update={"mix_id": mix_id}))
        ref = await self._writer.send(MIX_EVENTS.name, mix_id.encode(), value, partition=self._partition)
        return ref.offset


@pytest.fixture
def settings(kafka_bootstrap: str) -> Settings:
    return Settings(kafka_bootstrap=kafka_bootstrap)


@pytest.fixture
def mix_id() -> str:
    return f"recalled-{uuid4().hex[:8]}"


@pytest.fixture
async def teller(settings: Settings, mix_id: str) -> AsyncIterator[Teller]:
    await create_topics(settings)
    writer = Writer(settings, "test")
    await writer.start()
    yield Teller(writer, home_partition(mix_id))
    await writer.stop()


async def test_a_mix_is_recalled_from_its_part_of_the_log(
    settings: Settings, mix_id: str, teller: Teller
) -> None:
    await teller.tell(mix_id, placeholder("a"))
    start = await teller.tell(mix_id, accepted("a", "b"))
    await teller.tell(f"{mix_id}-other", completed("b"))
    await teller.tell(mix_id, completed("a"))
    end = await teller.tell(mix_id, completed("b"))
    mix = await recall_mix(settings, mix_id, start, end)
    assert mix.accepted is not None
    assert {task: outcome.type for task, outcome in mix.outcomes.items()} == {"a": "clip-completed"}
    whole = await recall_mix(settings, mix_id, 0, end + 1)
    assert {task: outcome.type for task, outcome in whole.outcomes.items()} == {
        "a": "clip-placeholder",
        "b": "clip-completed",
    }


async def test_an_end_beyond_the_log_is_the_log_s_end(
    settings: Settings, mix_id: str, teller: Teller
) -> None:
    start = await teller.tell(mix_id, accepted("a"))
    assert (await recall_mix(settings, mix_id, start, start + 1000)).accepted is not None
    assert (await recall_mix(settings, mix_id, start, start)).accepted is None
