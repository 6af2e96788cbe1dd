"""The cutter: takes tasks as slots and limits allow, many at once, and loses none."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from stream_app.clock import Clock
from stream_app.cutting.attempt import AttemptRunner
from stream_app.domain.config import ConfigInForce
from stream_app.domain.errors import OwnFaultError
from stream_app.domain.schedule import Waiting, next_due_ms, next_tasks
from stream_app.kafka.group_reader import Delivery
from stream_app.kafka.writer import Writer
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, Tombstone, read_task
from topics.tasks import ClipTask

GROUP = "clipfold-cutter"
WINDOW = 2000
"""Unfinished tasks of one partition before it is paused: far more than slots, so that many mixes are in
sight of the scheduler; at about 2 KB a task, little memory."""

OWN_FAULT_WAIT_MS = 2000
"""A task that met a fault of our own side waits for so long, outside of any slot."""

log = get_logger()


@dataclass(frozen=True, eq=False, slots=True)
class _Queued:
    task: ClipTask
    delivery: Delivery


class Cutter:
    """The work of the cutter group: a scheduler between delivered tasks and `max_parallelism` slots."""

    def __init__(
        self,
        runner: AttemptRunner,
        writer: Writer,
        *,
        config: Callable[[], ConfigInForce],
        clock: Clock,
        drain_timeout_ms: int,
    ) -> None:
        self._runner = runner
        self._writer = writer
        self._config = config
        self._clock = clock
        self._drain_timeout_s = drain_timeout_ms / 1000
        self._delivered = 0
        self._waiting: dict[Waiting, _Queued] = {}
        self._running: dict[Waiting, tuple[_Queued, asyncio.Task[None], int]] = {}
        self._closing: set[TopicPartition] = set()
        self._wake = asyncio.Event()
        self._side_work: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look again at what may start: a limit has changed."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Start waiting tasks whenever there is room, until `stop`."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                self._start_what_fits()
                await self._until_something_changes(stopping)
        finally:
            stopping.cancel()

    def deliver(self, delivery: Delivery) -> None:
        """Queue a task; put aside what is none."""
        task = read_task(delivery.record.value)
        if isinstance(task, ClipTask):
            self._enqueue(_Queued(task, delivery), task.not_before_ms)
            return
        why = Poison("the record has no value") if isinstance(task, Tombstone) else task
        self._in_background(self._put_aside(delivery, why))

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget what waits; let what runs end within the drain limit, then stop it."""
        self._closing |= partitions
        self._forget(partitions)
        running = {
            task for queued, task, _ in self._running.values() if queued.delivery.partition in partitions
        }
        if running:
            _, late = await asyncio.wait(running, timeout=self._drain_timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        self._forget(partitions)
        self._closing -= partitions

    def _forget(self, partitions: frozenset[TopicPartition]) -> None:
        self._waiting = {
            waiting: queued
            for waiting, queued in self._waiting.items()
            if queued.delivery.partition not in partitions
        }

    def _enqueue(self, queued: _Queued, not_before_ms: int) -> None:
        self._delivered += 1
        task = queued.task
        waiting = Waiting(self._delivered, task.mix_id, task.key, task.priority, not_before_ms)
        self._waiting[waiting] = queued
        self._wake.set()

    def _start_what_fits(self) -> None:
        config = self._config().config
        chosen = next_tasks(
            self._waiting,
            self._running,
            free_slots=config.max_parallelism - len(self._running),
            per_video_limit=config.per_video_limit,
            now_ms=self._clock(),
        )
        for waiting in chosen:
            queued = self._waiting.pop(waiting)
            slot = self._lowest_free_slot()
            task = asyncio.create_task(self._attempt(waiting, queued, slot), name=f"attempt in slot {slot}")
            self._running[waiting] = (queued, task, slot)
        metrics.TASKS_WAITING.set(len(self._waiting))

    def _lowest_free_slot(self) -> int:
        taken = {slot for _, _, slot in self._running.values()}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    async def _attempt(self, waiting: Waiting, queued: _Queued, slot: int) -> None:
        try:
            await self._runner.run(queued.task, queued.delivery.record.ref, slot)
            queued.delivery.finish()
        except OwnFaultError as error:
            self._put_back(queued, error)
        except Exception as error:
            log.exception("render_worker.attempt_crashed", clip_task_id=queued.task.clip_task_id)
            self._put_back(queued, error)
        finally:
            del self._running[waiting]
            self._wake.set()

    def _put_back(self, queued: _Queued, error: Exception) -> None:
        """Try again later: our own fault is never a placeholder, and the record stays uncommitted."""
        log.error(
            "render_worker.paused",
            mix_id=queued.task.mix_id,
            trace_id=queued.task.trace_id,
            clip_task_id=queued.task.clip_task_id,
            error=str(error) or type(error).__name__,
            retry_in_ms=OWN_FAULT_WAIT_MS,
        )
        if queued.delivery.partition not in self._closing:
            self._enqueue(queued, self._clock() + OWN_FAULT_WAIT_MS)

    async def _until_something_changes(self, stopping: asyncio.Task[bool]) -> None:
        now_ms = self._clock()
        due_ms = next_due_ms(self._waiting, now_ms)
        timeout_s = None if due_ms is None else (due_ms - now_ms) / 1000
        waking = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({waking, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side_work.add(task)
        task.add_done_callback(self._side_work.discard)

    async def _put_aside(self, delivery: Delivery, why: Poison) -> None:
        with suppress(asyncio.CancelledError):
            await self._writer.put_aside(delivery.record, why, GROUP)
            delivery.finish()
