"""Follow `mix-events` in every worker, so that nothing is cut for a mix that has ended or was revised.

It needs the mixes in work and no others, so it starts where the assembler's group stands: that group commits
a record only when the mix it is about has ended.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import stamina
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.unfinished import Asked, UnfinishedMixes
from stream_app.kafka.clients import FETCH_WAIT_MS, make_consumer, stop_consumer
from stream_app.kafka.undone import undone_from
from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, Tombstone, read_event
from topics.envelope import event_type
from topics.registry import MIX_EVENTS

POLL_MS = 200
"""A poll waits for so long at most: the delay with which a stop is noticed."""

MAX_RECORDS = 2000
"""Of one poll: milliseconds of work, so that a long log to read does not stop the other parts."""

REBUILD_DELAY_S = 1.0
MAX_RETRY_WAIT_S = 1.0

WANTED_TYPES = {
    event_type(name).encode() for name in ("mix-accepted", "mix-rendered", "mix-failed", "mix-cancelled")
}
"""Clip events are most of the log and change nothing here: their values are not even parsed."""

log = get_logger()


class MixWatch:
    """Knows the newest plan of every unfinished mix.

    Args:
        settings: where Kafka is.
        group_id: the assembler's group, whose committed offsets say where to begin.
    """

    def __init__(self, settings: Settings, group_id: str) -> None:
        self._settings = settings
        self._group_id = group_id
        self._partitions = [
            TopicPartition(MIX_EVENTS.name, number) for number in range(MIX_EVENTS.partitions)
        ]
        self._positions: dict[TopicPartition, int] = {}
        self._mixes = UnfinishedMixes()
        self._consumer: AIOKafkaConsumer | None = None
        self._moved = asyncio.Condition()
        self.on_change: Callable[[str], None] = lambda _: None
        """Called with the id of a mix that has ended or was revised."""
        self.ready = asyncio.Event()
        """Set once the log has been read to its end: no task is taken before."""

    def wants(self, clip: Asked) -> bool | None:
        """Whether a clip is still to be made; `None`: see `UnfinishedMixes.wants`."""
        return self._mixes.wants(clip)

    async def catch_up(self) -> None:
        """Return when all has been read that stands in the log now; while Kafka is away this waits.

        It costs a question to the broker, and nothing more when the watch is as far already.
        """
        # Any: the client that is asked may be closed under the question, which has many names.
        async for attempt in stamina.retry_context(
            on=Exception, attempts=None, timeout=None, wait_max=MAX_RETRY_WAIT_S
        ):
            with attempt:
                ends = await (await self._connected()).end_offsets(self._partitions)
        async with self._moved:
            await self._moved.wait_for(lambda: self._has_read(ends))

    async def _connected(self) -> AIOKafkaConsumer:
        async with self._moved:
            await self._moved.wait_for(lambda: self._consumer is not None)
        return self._consumer

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`; after a failure of Kafka go on where it broke off."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except (KafkaError, OSError) as error:
                log.warning("kafka.mix_watch_rebuilt", error=str(error) or type(error).__name__)
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
            ends = await consumer.end_offsets(self._partitions)
            for partition, position in self._positions.items():
                consumer.seek(partition, position)
            self._consumer = consumer
            while not stop.is_set():
                await self._poll(consumer)
                if self._has_read(ends):
                    self.ready.set()
        finally:
            self._consumer = None
            await stop_consumer(consumer, self._settings)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
        for records in batches.values():
            for record in records:
                self._note(record)
        async with self._moved:
            for partition in self._partitions:
                self._positions[partition] = await consumer.position(partition)
            self._moved.notify_all()

    def _note(self, record: ConsumerRecord) -> None:
        if dict(record.headers).get("ce_type") not in {None, *WANTED_TYPES}:
            return
        event = read_event(record.value)
        if not isinstance(event, Poison | Tombstone) and self._mixes.apply(event):
            self.on_change(event.mix_id)

    def _has_read(self, ends: dict[TopicPartition, int]) -> bool:
        return all(self._positions[partition] >= end for partition, end in ends.items())
