"""Follow `mix-requests`, so that a request which no worker has decided on yet is known to whoever asks.

It starts where intake's group has committed: all before that has been decided, and is told in `mix-events`.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.kafka.clients import FETCH_WAIT_MS, make_consumer, stop_consumer
from stream_app.kafka.log_ends import LogEnds
from stream_app.kafka.partitioning import ORIGIN_HEADER, home_partition
from stream_app.kafka.record import Record
from stream_app.kafka.undone import undone_from
from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger
from topics.ids import RecordRef
from topics.registry import MIX_REQUESTS

POLL_MS = 200
"""A poll waits for so long at most: the delay with which a stop is noticed."""

REBUILD_DELAY_S = 1.0

MAX_MIXES = 100_000
"""Mixes kept in mind, the newest: some 30 MB. Decided ones among them are of no use and do no harm."""

MAX_REQUESTS = 100
"""Requests kept in mind for one mix, the newest."""

log = get_logger()


class RequestWatch:
    """Knows where the newest requests of each mix stand.

    Args:
        settings: where Kafka is.
        group_id: intake's group, whose committed offsets say where to begin.
        ends: tells how far there is to read.
    """

    def __init__(self, settings: Settings, group_id: str, ends: LogEnds) -> None:
        self._settings = settings
        self._ends = ends
        self._group_id = group_id
        self._partitions = [
            TopicPartition(MIX_REQUESTS.name, number) for number in range(MIX_REQUESTS.partitions)
        ]
        self._positions: dict[TopicPartition, int] = {}
        self._requests: OrderedDict[str, list[RecordRef]] = OrderedDict()
        self._moved = asyncio.Condition()

    async def requests_of(self, mix_id: str) -> tuple[RecordRef, ...]:
        """Where requests of a mix stand, oldest first, those that are in Kafka now included.

        While Kafka is away this waits: give it a time limit.
        """
        home = TopicPartition(MIX_REQUESTS.name, home_partition(mix_id))
        end = await self._ends.end_of(home)
        async with self._moved:
            await self._moved.wait_for(lambda: self._positions.get(home, 0) >= end)
        return tuple(self._requests.get(mix_id, ()))

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`; after a failure of Kafka go on where it broke off."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except (KafkaError, OSError) as error:
                log.warning("kafka.request_watch_rebuilt", error=str(error) or type(error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), REBUILD_DELAY_S)

    async def _follow(self, stop: asyncio.Event) -> None:
        consumer = make_consumer(self._settings, fetch_max_wait_ms=FETCH_WAIT_MS)
        try:
            await consumer.start()
            consumer.assign(self._partitions)
            self._positions = self._positions or await undone_from(
                self._settings, consumer, self._group_id, self._partitions
            )
            for partition, position in self._positions.items():
                consumer.seek(partition, position)
            while not stop.is_set():
                await self._poll(consumer)
        finally:
            await stop_consumer(consumer, self._settings)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        for records in batches.values():
            for record in records:
                self._note(Record.of(record))
        async with self._moved:
            for partition in self._partitions:
                self._positions[partition] = await consumer.position(partition)
            self._moved.notify_all()

    def _note(self, record: Record) -> None:
        """Keep a request in mind by its key, which is the mix's id on every record at its mix's home.

        Its place is the one where it first stood, by which events name it.
        """
        mix_id = (record.key or b"").decode(errors="replace")
        ref = _first_place(record)
        refs = self._requests.setdefault(mix_id, [])
        if ref not in refs:
            refs.append(ref)
        del refs[:-MAX_REQUESTS]
        self._requests.move_to_end(mix_id)
        if len(self._requests) > MAX_MIXES:
            self._requests.popitem(last=False)


def _first_place(record: Record) -> RecordRef:
    """Where a request first stood; what anybody else has put into that header is no place."""
    try:
        return RecordRef.parse(record.header(ORIGIN_HEADER) or "")
    except ValueError:
        return record.ref
