"""Read a topic as one of a group, with many records at work at once and none ever lost.

The protocol, for each partition:
1. A record is delivered to the work once per assignment, in offset order.
2. The work calls `Delivery.finish` when every event that the record leads to has been acknowledged by Kafka.
3. The head's contiguous finished run is committed, every `COMMIT_INTERVAL_S`.
4. When `window` records are unfinished, the partition is paused; polling goes on, so the group never
   takes this member for dead.
5. On a revocation the work gets `drain_timeout_ms` to end what runs and drops the rest; what is finished is
   committed; the next owner is handed the remainder.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from stream_app.kafka.clients import CLIENT_ID, make_consumer
from stream_app.kafka.record import Record
from stream_app.kafka.tracker import OffsetTracker
from stream_app.settings import Settings
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.registry import Topic

POLL_MS = 200
"""A poll waits for so long at most: the delay with which a stop or a resume is noticed."""

COMMIT_INTERVAL_S = 0.5
REBUILD_DELAY_S = (0.5, 1.0, 2.0, 5.0)
"""Waits before a consumer that Kafka threw out is made anew; the last one repeats."""

log = get_logger()


@dataclass(frozen=True, eq=False, slots=True)
class Delivery:
    """A record handed out for the time that its partition is assigned to this member."""

    record: Record
    tracker: OffsetTracker

    @property
    def partition(self) -> TopicPartition:
        """Where it came from."""
        return TopicPartition(self.record.ref.topic, self.record.ref.partition)

    def finish(self) -> None:
        """All that it asks for is done and acknowledged. After a revocation this changes nothing."""
        self.tracker.finish(self.record.ref.offset)


class Work(Protocol):
    """What is done with the records of a topic."""

    def deliver(self, delivery: Delivery) -> None:
        """Take a record; its work is done when its `finish` is called."""

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        """End what runs for these partitions within the drain limit, and forget them."""


class GroupReader(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of the consumer group `group_id` on one topic.

    Args:
        settings: where Kafka is.
        topic: what is read.
        group_id: the group.
        work: what is done with the records.
        window: unfinished records of one partition before it is paused; None: any number.
        worker: whose member it is; Kafka's tools, and `clipfold top`, show it in the client's id.
    """

    def __init__(
        self,
        settings: Settings,
        topic: Topic,
        group_id: str,
        work: Work,
        *,
        window: int | None,
        worker: str | None = None,
    ) -> None:
        self._settings = settings
        self._topic = topic.name
        self._group_id = group_id
        self._work = work
        self._window = window
        self._client_id = f"{CLIENT_ID}-{worker}" if worker else CLIENT_ID
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._consumer: AIOKafkaConsumer | None = None
        for counter in (metrics.COMMITS, metrics.COMMIT_FAILURES):
            counter.labels(group_id)

    def taken(self) -> dict[TopicPartition, int]:
        """The partitions that are read now, each with the first offset that was not handed out."""
        consumer = self._consumer
        paused = consumer.paused() if consumer else set()
        return {
            partition: tracker.next_offset
            for partition, tracker in self._trackers.items()
            if partition not in paused
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`, through any number of rebalances and broker failures."""
        failures = 0
        while not stop.is_set():
            started = time.monotonic()
            try:
                await self._read(stop)
            except (KafkaError, OSError) as error:
                failures = 0 if time.monotonic() - started > REBUILD_DELAY_S[-1] else failures
                delay = REBUILD_DELAY_S[min(failures, len(REBUILD_DELAY_S) - 1)]
                failures += 1
                log.warning(
                    "kafka.reader_rebuilt",
                    group=self._group_id,
                    error=str(error) or type(error).__name__,
                    delay_s=delay,
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), delay)

    async def _read(self, stop: asyncio.Event) -> None:
        timeout_ms = self._settings.kafka_session_timeout_ms
        consumer = self._consumer = make_consumer(
            self._settings,
            client_id=self._client_id,
            group_id=self._group_id,
            group_instance_id=self._settings.worker_id,
            session_timeout_ms=timeout_ms,
            heartbeat_interval_ms=max(timeout_ms // 5, 100),
            rebalance_timeout_ms=self._settings.drain_timeout_ms + timeout_ms,
        )
        consumer.subscribe([self._topic], listener=self)
        try:
            await consumer.start()
            await self._poll(consumer, stop)
        finally:
            await self._give_up(self._trackers)
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), timeout_ms / 1000)
            self._consumer = None

    async def _poll(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        committed_at = time.monotonic()
        while not stop.is_set():
            # Never cancelled: aiokafka would take this member for idle for ever after.
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            for partition, records in batches.items():
                self._deliver(partition, records)
            self._mind_windows(consumer)
            if time.monotonic() - committed_at >= COMMIT_INTERVAL_S:
                await self._commit(self._trackers)
                await self._measure_lag(consumer)
                committed_at = time.monotonic()

    def _deliver(self, partition: TopicPartition, records: list[ConsumerRecord]) -> None:
        tracker = self._trackers.get(partition)
        if tracker is None:  # revoked while the poll was under way
            return
        for record in records:
            if tracker.deliver(record.offset):
                self._work.deliver(Delivery(Record.of(record), tracker))

    def _mind_windows(self, consumer: AIOKafkaConsumer) -> None:
        if self._window is None:
            return
        paused = consumer.paused()
        for partition, tracker in self._trackers.items():
            with suppress(IllegalStateError):  # it was revoked a moment ago
                if partition not in paused and tracker.in_flight >= self._window:
                    consumer.pause(partition)
                elif partition in paused and tracker.in_flight <= self._window // 2:
                    consumer.resume(partition)

    async def _measure_lag(self, consumer: AIOKafkaConsumer) -> None:
        lag = 0
        for partition, tracker in tuple(self._trackers.items()):
            with suppress(IllegalStateError):  # it was revoked a moment ago
                end = consumer.highwater(partition)
                head = tracker.head
                if end is not None:
                    lag += end - (await consumer.position(partition) if head is None else head)
        metrics.LAG.labels(self._group_id).set(lag)

    async def _commit(self, trackers: Mapping[TopicPartition, OffsetTracker]) -> None:
        offsets = {
            partition: offset
            for partition, tracker in trackers.items()
            if (offset := tracker.take_committable()) is not None
        }
        if not offsets or self._consumer is None:
            return
        try:
            await self._consumer.commit(offsets)
            metrics.COMMITS.labels(self._group_id).inc()
        except (CommitFailedError, IllegalStateError) as error:
            # Normal after a revocation: the next owner does the records again, with the same ids.
            metrics.COMMIT_FAILURES.labels(self._group_id).inc()
            log.info("kafka.commit_refused", group=self._group_id, error=str(error))

    async def _give_up(self, partitions: Iterable[TopicPartition]) -> None:
        lost = {
            partition: self._trackers.pop(partition)
            for partition in tuple(partitions)
            if partition in self._trackers
        }
        if lost:
            await self._work.revoke(frozenset(lost))
            with suppress(KafkaError):
                await self._commit(lost)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called by aiokafka before the group shares the partitions out anew."""
        await self._give_up(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called by aiokafka when this member knows what it owns."""
        self._trackers = {partition: OffsetTracker() for partition in assigned}
        log.info(
            "kafka.partitions_assigned",
            group=self._group_id,
            partitions=sorted(p.partition for p in assigned),
        )
