"""Notice work that has stopped for good while the process lives on: it is to be ended and started anew.

Two things are looked at. Records of a partition that we own wait, and none is taken: a consumer that is
stuck, which Faust's own detector only logs. And there is work to do that nobody waits with on purpose, and
nothing of it moves.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.clients import make_consumer
from stream_app.settings import Settings
from stream_app.telemetry.health import Health
from stream_app.telemetry.log import get_logger

MAX_CHECK_EVERY_S = 10.0
CHECKS = 20
"""Looks within the time after which work counts as stuck: enough to tell of it before."""

log = get_logger()


class StuckError(ClipfoldError):
    """Records wait and none is taken: the process must be ended and started again."""

    stage = "watchdog"


@dataclass(frozen=True, slots=True)
class Movement:
    """Work that is to move.

    Attributes:
        signs: differs from before whenever anything has moved.
        quiet_s: for so long none of it needs to move, on top of the usual patience.
    """

    signs: Hashable
    quiet_s: float = 0.0


class Watchdog:
    """Watches what a consumer group does in this process.

    Args:
        settings: where Kafka is, and the patience.
        group_id: the group.
        taken: the partitions that we own and are to take records of now, each with the first offset that we
            have not taken; 0 where only what is committed tells.
        health: where to complain.
        is_refused: whether Kafka answers and yet does not take what is sent.
        on_lag: told how many records wait, in all.
        movement: what the work that follows from the records does; `None` while there is none, or all of it
            waits on purpose.
        clock: of the patience, in s.
    """

    def __init__(
        self,
        settings: Settings,
        group_id: str,
        taken: Callable[[], Mapping[TopicPartition, int]],
        *,
        health: Health,
        is_refused: Callable[[], bool],
        on_lag: Callable[[int], None] = lambda _: None,
        movement: Callable[[], Movement | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._group_id = group_id
        self._taken = taken
        self._health = health
        self._is_refused = is_refused
        self._on_lag = on_lag
        self._movement = movement
        self._clock = clock
        self._patience_s = settings.stuck_after_ms / 1000
        self._since: dict[str, tuple[Hashable, float]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until `stop`.

        Raises:
            StuckError: something has not moved for `stuck_after_ms`.
        """
        while not stop.is_set():
            try:
                async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1000):
                    await self._look()
            except (KafkaError, OSError) as error:
                self._wait_for_kafka("Kafka does not answer")
                log.warning("kafka.watchdog_blind", group=self._group_id, error=str(error) or "no answer")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(MAX_CHECK_EVERY_S, self._patience_s / CHECKS))

    async def _look(self) -> None:
        # Of the group only to read its offsets: it subscribes to nothing, so it never joins.
        consumer = make_consumer(self._settings, group_id=self._group_id)
        await consumer.start()
        try:
            waiting = await self._waiting(consumer)
        finally:
            await consumer.stop()
        self._on_lag(sum(count for _, count in waiting.values()))
        if self._is_refused():
            self._wait_for_kafka("Kafka does not take what is sent")
        else:
            self.judge(waiting)

    def _wait_for_kafka(self, why: str) -> None:
        """Kafka being away is no reason to end: nobody can take anything then."""
        self._since.clear()
        self._health.note(self._group_id, why)

    async def _waiting(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, tuple[int, int]]:
        """For each partition how far we are and how many records wait behind that."""
        taken = dict(self._taken())
        ends = await consumer.end_offsets(list(taken)) if taken else {}
        reached = {each: max(await consumer.committed(each) or 0, offset) for each, offset in taken.items()}
        return {each: (reached[each], ends[each] - reached[each]) for each in taken}

    def judge(self, waiting: Mapping[TopicPartition, tuple[int, int]]) -> None:
        """Compare with what was seen before.

        Raises:
            StuckError: a partition with records in it, or the work, has not moved for too long.
        """
        moving = {
            f"what waits in {partition.topic}/{partition.partition}": Movement(reached)
            for partition, (reached, count) in waiting.items()
            if count > 0
        }
        if (work := self._movement()) is not None:
            moving["what is to be done"] = work
        now, trouble, before = self._clock(), None, self._since
        self._since = {}
        for what, each in moving.items():
            signs, at = before.get(what, (each.signs, now))
            at = at if signs == each.signs else now
            self._since[what] = (each.signs, at)
            still_s, allowed_s = now - at, self._patience_s + each.quiet_s
            if still_s > allowed_s / 2:
                trouble = f"{what} for {self._group_id} has not moved for {still_s:.0f} s"
            if still_s > allowed_s:
                log.error("worker.stuck", group=self._group_id, error=trouble)
                raise StuckError(f"{trouble}: this process ends, so that it can be started anew")
        self._health.note(self._group_id, trouble)
