"""Read the story of one mix from the log: all of it so far, then live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiokafka import TopicPartition

from stream_app.kafka.clients import make_consumer
from stream_app.kafka.partitioning import home_partition
from stream_app.kafka.record import Record
from stream_app.settings import Settings
from topics.registry import MIX_EVENTS

POLL_MS = 200


async def follow_mix(settings: Settings, mix_id: str, *, live: bool) -> AsyncGenerator[Record | None, None]:
    """The event records of a mix in log order, from the first one.

    With `live` it goes on for ever and yields `None` whenever nothing came for a while, so that the reader
    may look at the clock; without it ends at what is the end of the log now.
    """
    async with aclosing(_read_partition(settings, home_partition(mix_id), live=live)) as records:
        async for record in records:
            if record is None or record.key == mix_id.encode():
                yield record


async def _read_partition(
    settings: Settings, partition: int, *, live: bool
) -> AsyncGenerator[Record | None, None]:
    where = TopicPartition(MIX_EVENTS.name, partition)
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        consumer.assign([where])
        consumer.seek(where, (await consumer.beginning_offsets([where]))[where])
        end = (await consumer.end_offsets([where]))[where]
        while live or await consumer.position(where) < end:
            batches = await consumer.getmany(where, timeout_ms=POLL_MS)
            for record in batches.get(where, ()):
                yield Record.of(record)
            if not batches:
                yield None
    finally:
        await consumer.stop()
