"""Notice a consumer that has stopped for good, which Faust's own detector only logs."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.clients import make_consumer
from stream_app.settings import Settings
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger

CHECK_EVERY_S = 10.0
PATIENCE_S = 300.0
"""A request of 10,000 lines takes intake some seconds; a partition that stands still for so long is stuck."""

log = get_logger()


class StuckError(ClipfoldError):
    """Records wait and none is taken: the process must be ended and started again."""

    stage = "watchdog"


class Watchdog:
    """Follows how far a group has committed on the partitions that this process owns."""

    def __init__(
        self,
        settings: Settings,
        group_id: str,
        owned: Callable[[], set[TopicPartition]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._group_id = group_id
        self._owned = owned
        self._clock = clock
        self._seen: dict[TopicPartition, tuple[int, float]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look every `CHECK_EVERY_S` until `stop`.

        Raises:
            StuckError: a partition with records in it has not moved for `PATIENCE_S`.
        """
        while not stop.is_set():
            try:
                async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1000):
                    await self._look()
            except (KafkaError, TimeoutError) as error:
                # Kafka being away is no reason to end: nobody can take anything then.
                self._seen.clear()
                log.warning("kafka.watchdog_blind", group=self._group_id, error=str(error) or "no answer")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CHECK_EVERY_S)

    async def _look(self) -> None:
        owned = list(self._owned())
        if not owned:
            metrics.LAG.labels(self._group_id).set(0)
            return
        # Of the group only to read its offsets: it subscribes to nothing, so it never joins.
        consumer = make_consumer(self._settings, group_id=self._group_id)
        await consumer.start()
        try:
            waiting = await self._waiting(consumer, owned)
        finally:
            await consumer.stop()
        metrics.LAG.labels(self._group_id).set(sum(count for _, count in waiting.values()))
        self.judge(waiting)

    async def _waiting(
        self, consumer: AIOKafkaConsumer, owned: list[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, int]]:
        """For each partition the committed offset and how many records wait behind it."""
        ends = await consumer.end_offsets(owned)
        committed = {partition: await consumer.committed(partition) or 0 for partition in owned}
        return {
            partition: (committed[partition], ends[partition] - committed[partition]) for partition in owned
        }

    def judge(self, waiting: dict[TopicPartition, tuple[int, int]]) -> None:
        """Compare with what was seen before.

        Raises:
            StuckError: a partition with records in it has not moved for `PATIENCE_S`.
        """
        now = self._clock()
        for partition, (committed, count) in waiting.items():
            before, since = self._seen.get(partition, (-1, now))
            if committed != before or count == 0:
                self._seen[partition] = (committed, now)
            elif now - since > PATIENCE_S:
                raise StuckError(
                    f"{count} records of {partition.topic}/{partition.partition} wait for group "
                    f"{self._group_id}, which has not moved for {now - since:.0f} s: this process ends, so "
                    "that it can be started anew"
                )
