"""Read the story of one mix from the log: what is told so far, then live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import stamina
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.mix import Mix
from stream_app.kafka.clients import make_consumer, stop_consumer
from stream_app.kafka.partitioning import home_partition
from stream_app.kafka.record import Record
from stream_app.settings import Settings
from topics.codec import Poison, Tombstone, read_event
from topics.ids import RecordRef
from topics.registry import MIX_EVENTS

POLL_MS = 200
MAX_RETRY_WAIT_S = 5.0


async def recall_mix(settings: Settings, mix_id: str, start: int, end: int) -> Mix:
    """The mix as its events from offset `start` up to, not including, `end` tell it.

    While Kafka is away this waits. What this version cannot read is passed over, as it is everywhere.
    """
    async for attempt in stamina.retry_context(
        on=(KafkaError, TimeoutError, OSError), attempts=None, timeout=None, wait_max=MAX_RETRY_WAIT_S
    ):
        with attempt:
            mix = Mix()
            async with aclosing(follow_mix(settings, mix_id, live=False, start=start, end=end)) as records:
                async for record in records:
                    event = read_event(record.value) if record else None
                    if event is not None and not isinstance(event, Poison | Tombstone):
                        mix.apply(event)
    return mix


async def follow_mix(
    settings: Settings, mix_id: str, *, live: bool, start: int = 0, end: int | None = None
) -> AsyncGenerator[Record | None, None]:
    """The event records of a mix in log order, those from offset `start` on.

    With `live` it goes on for ever and yields `None` whenever nothing came for a while, so that the reader
    may look at the clock; without it ends before offset `end`, at the latest at what is the log's end now.
    """
    partition = TopicPartition(MIX_EVENTS.name, home_partition(mix_id))
    reading = _read_partition(settings, partition, live=live, start=start, end=end)
    async with aclosing(reading) as records:
        async for record in records:
            if record is None or record.key == mix_id.encode():
                yield record


async def read_record(settings: Settings, ref: RecordRef) -> Record | None:
    """The record at a place in Kafka; `None` when nothing is kept there.

    Raises:
        KafkaError: Kafka cannot be reached.
    """
    partition = TopicPartition(ref.topic, ref.partition)
    reading = _read_partition(settings, partition, live=False, start=ref.offset, end=ref.offset + 1)
    async with aclosing(reading) as records:
        async for record in records:
            if record is not None:
                return record
    return None


async def read_topic(settings: Settings, topic: str) -> AsyncGenerator[Record, None]:
    """Every record that a topic holds now, one partition after the other.

    Raises:
        KafkaError: Kafka cannot be reached, or has no such topic.
    """
    for partition in await _partitions(settings, topic):
        async with aclosing(_read_partition(settings, partition, live=False, start=0, end=None)) as records:
            async for record in records:
                if record is not None:
                    yield record


async def _partitions(settings: Settings, topic: str) -> list[TopicPartition]:
    consumer = make_consumer(settings, topic)
    try:
        await consumer.start()
        return sorted(TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ())
    finally:
        await stop_consumer(consumer, settings)


async def _read_partition(
    settings: Settings, partition: TopicPartition, *, live: bool, start: int, end: int | None
) -> AsyncGenerator[Record | None, None]:
    consumer = make_consumer(settings)
    try:
        await consumer.start()
        consumer.assign([partition])
        first = (await consumer.beginning_offsets([partition]))[partition]
        log_end = (await consumer.end_offsets([partition]))[partition]
        last = log_end if end is None else min(end, log_end)
        consumer.seek(partition, max(start, first))
        while live or await consumer.position(partition) < last:
            batches = await consumer.getmany(partition, timeout_ms=POLL_MS)
            for record in batches.get(partition, ()):
                if live or record.offset < last:
                    yield Record.of(record)
            if not batches:
                yield None
    finally:
        await stop_consumer(consumer, settings)
