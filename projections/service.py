"""Follow the log for ever: fold what comes, publish what changed, and get over every failure on the way."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import duckdb
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from projections.fold import LogReplacedError, Place
from projections.log_reader import MakeConsumer, attach
from projections.publish import Publisher
from projections.rebuild import digest, rebuild
from projections.store import ROLL_UP_AFTER, Store, is_damage
from projections.story import Story, turning_points
from projections.tables import EVENTS
from stream_app.domain.errors import OwnFaultError
from stream_app.kafka.record import Record
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger

POLL_MS = 100
"""A poll waits for so long at most: the delay with which a stop is noticed or a snapshot is late."""

BATCH = ROLL_UP_AFTER // 12
"""Records folded in one transaction: a durable commit costs some 4 ms, so few of them must carry much."""

STOP_TIMEOUT_S = 10.0
RETRY_DELAY_S = (0.5, 1.0, 2.0, 5.0)
"""Waits before going on after failures in a row; the last one repeats."""

T = TypeVar("T")
log = get_logger()


def beside(file: Path) -> Path:
    """Where a private file is built anew."""
    return file.with_name("rebuilt.duckdb")


def remove(file: Path) -> None:
    """Remove a private file that was not finished, and what DuckDB and we put beside it."""
    for suffix in ("", ".wal", ".lock"):
        file.with_name(f"{file.name}{suffix}").unlink(missing_ok=True)


class ProjectionService:
    """One projection, run by `run`; all work on the file happens in one thread of its own."""

    def __init__(self, make_consumer: MakeConsumer, store: Store, publisher: Publisher) -> None:
        self._make_consumer = make_consumer
        self._store = store
        self._publisher = publisher
        self._thread = ThreadPoolExecutor(1, "projection")
        self._positions: dict[Place, int] = {}
        self._ends: dict[Place, int] | None = None
        self._caught_up = False
        self._failures = 0
        self._moved = asyncio.Condition()
        self._file = asyncio.Lock()
        """Held by whoever folds or publishes, and while the file is exchanged."""

    @property
    def positions(self) -> dict[Place, int]:
        """For each (topic, partition), the offset of the next record to fold."""
        return dict(self._positions)

    @property
    def lag(self) -> int | None:
        """Records in the log that are not folded yet; `None` while Kafka has not been reached."""
        if self._ends is None:
            return None
        return sum(max(0, end - self._positions.get(place, 0)) for place, end in self._ends.items())

    async def story(self, mix_id: str, *, place: Place, end: int) -> Story:
        """The mix as its own events before offset `end` of its partition tell it.

        This waits until so much has been folded: give it a time limit.

        Raises:
            OwnFaultError: the file cannot be read now.
        """
        async with self._moved:
            await self._moved.wait_for(lambda: self._positions.get(place, 0) >= end)
        try:
            return await self._in_thread(lambda: turning_points(self._store.con, mix_id))
        except duckdb.Error as error:
            raise OwnFaultError(f"{self._store.path} cannot be read: {error}") from error

    async def renew(self) -> None:
        """Fold the log from its beginning into a new file, and go on with that one.

        The old one is folded and published all the while. When the new one is as far, it takes its place, and
        the log line says whether its tables are the same. When anything fails, the old one stays.
        """
        fresh = beside(self._store.path)
        remove(fresh)
        async with self._moved:
            await self._moved.wait_for(lambda: self._caught_up)
        try:
            with Store(fresh) as store:
                folded = await rebuild(self._make_consumer, store)
                async with self._file:
                    differing = await self._bring_level(store)
                    store.close()
                    await self._in_thread(lambda: self._store.replace_with(fresh))
                    self._publisher.dirty = True
        except (KafkaError, OwnFaultError, LogReplacedError, OSError, duckdb.Error) as error:
            log.warning("projection.rebuild_failed", error=str(error))
        else:
            log.info("projection.rebuilt", records=folded, differing_tables=differing)
        finally:
            remove(fresh)

    async def _bring_level(self, store: Store) -> list[str]:
        """Fold into `store` what the live file is ahead by; the names of the tables that then differ."""
        positions = await self._in_thread(self._store.positions)
        until = {place: positions.get(place, 0) for place in self._positions}
        await rebuild(self._make_consumer, store, until=until)
        await self._in_thread(self._store.roll_up)
        live, fresh = await self._in_thread(lambda: digest(self._store.con)), digest(store.con)
        # Of render-config, the live file may know records that were compacted away since.
        return [name for name in live if live[name] != fresh[name] and name != EVENTS.name]

    async def run(self, stop: asyncio.Event) -> None:
        """Fold and publish until `stop`; then publish a last time."""
        try:
            while not stop.is_set():
                try:
                    await self._follow(stop)
                except LogReplacedError as error:
                    await self._start_over(error)
                except (KafkaError, OwnFaultError, OSError, duckdb.Error) as error:
                    await self._recover(error, stop)
            await self._publish_last()
        finally:
            await asyncio.to_thread(self._thread.shutdown)

    async def _follow(self, stop: asyncio.Event) -> None:
        self._positions = await self._in_thread(self._store.positions)
        consumer = self._make_consumer()
        try:
            self._ends = await attach(consumer, self._positions)
            self._caught_up = False
            while not stop.is_set():
                await self._poll(consumer)
        finally:
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), STOP_TIMEOUT_S)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        # Never cancelled: aiokafka would take this consumer for idle for ever after.
        batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
        records = [Record.of(record) for batch in batches.values() for record in batch]
        async with self._file:
            new = await self._in_thread(lambda: self._store.fold(records)) if records else 0
            if new:
                self._publisher.dirty = True
            await self._note_progress(consumer)
            # A file folded anew must not replace a snapshot that knows more.
            self._caught_up = self._caught_up or self.lag == 0
            if self._caught_up and self._publisher.is_due(quiet=not records):
                await self._in_thread(lambda: self._publisher.publish(self._ends))
        self._failures = 0

    async def _note_progress(self, consumer: AIOKafkaConsumer) -> None:
        ends = self._ends or {}
        for place in ends:
            partition = TopicPartition(*place)
            # The consumer's position, not the last record's: compaction leaves gaps.
            self._positions[place] = max(self._positions.get(place, 0), await consumer.position(partition))
            ends[place] = max(ends[place], consumer.highwater(partition) or 0)
        async with self._moved:
            self._moved.notify_all()

    async def _recover(self, error: Exception, stop: asyncio.Event) -> None:
        """Reopen the file, since only it knows what was written, and wait a little."""
        delay = RETRY_DELAY_S[min(self._failures, len(RETRY_DELAY_S) - 1)]
        self._failures += 1
        metrics.PROJECTION_FAILURES.inc()
        log.warning("projection.interrupted", error=str(error), delay_s=delay)
        if isinstance(error, duckdb.Error) and is_damage(error) and self._failures > 1:
            await self._start_over(error)
        elif isinstance(error, duckdb.Error | OSError | OwnFaultError):
            with suppress(OwnFaultError):
                await self._in_thread(self._store.reopen)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)

    async def _start_over(self, why: Exception) -> None:
        """All that is in the file can be had from the log again."""
        log.warning("projection.started_over", error=str(why))
        self._positions = {}
        await self._in_thread(lambda: self._store.start_over(str(why)))
        self._publisher.dirty = True

    async def _publish_last(self) -> None:
        if not (self._caught_up and self._publisher.dirty):
            return
        try:
            await self._in_thread(lambda: self._publisher.publish(self._ends))
        except (duckdb.Error, OSError, OwnFaultError) as error:
            log.warning("projection.last_publish_failed", error=str(error))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
