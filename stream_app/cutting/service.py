"""The cutter: takes tasks as slots and limits allow, many at once, and loses none.

A task is done when what it led to is acknowledged. When its mix has ended or was revised, and wants its clip
no more, it is dropped wherever it is: its cut is killed and nothing is sent for it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from aiokafka import TopicPartition

from stream_app.clock import Clock
from stream_app.cutting.held import Held, HeldTasks
from stream_app.cutting.pause import MAX_DOUBLINGS, PUT_BACK_MS, Pause
from stream_app.domain.config import ConfigInForce
from stream_app.domain.errors import OwnFaultError
from stream_app.domain.schedule import Queue, Waiting
from stream_app.domain.unfinished import Asked
from stream_app.kafka.group_reader import Delivery
from stream_app.kafka.watchdog import Movement
from stream_app.kafka.writer import Writer
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, Tombstone, read_task
from topics.groups import CUTTER_GROUP
from topics.ids import RecordRef
from topics.tasks import ClipTask

WINDOW = 12_000
"""Unfinished tasks of one partition before it is paused. A mix has up to 10,000 lines, which may all be of
one video and so on one partition: with room for more, the scheduler still sees the mixes behind it. A task
that waits takes 2 KB here (measured), a full partition 25 MB."""

log = get_logger()


class Runner(Protocol):
    """What makes an attempt; see `AttemptRunner`."""

    async def run(self, task: ClipTask, ref: RecordRef, slot: int) -> None:
        """Return when all that follows from the attempt is acknowledged."""


class Wanted(Protocol):
    """What knows which clips are still to be made; see `MixWatch`."""

    def wants(self, clip: Asked) -> bool | None:
        """Whether a clip is still to be made; `None`: not known, or its mix has ended."""

    async def catch_up(self) -> None:
        """Return when `None` can only mean that the mix has ended, for clips asked for before the call."""


class Cutter:
    """The work of the cutter group: a scheduler between delivered tasks and `max_parallelism` slots."""

    def __init__(
        self,
        runner: Runner,
        writer: Writer,
        wanted: Wanted,
        *,
        config: Callable[[], ConfigInForce],
        clock: Clock,
        drain_timeout_ms: int,
        attempt_timeout_ms: int = 0,
    ) -> None:
        self._runner = runner
        self._writer = writer
        self._wanted = wanted
        self._config = config
        self._clock = clock
        self._drain_timeout_s = drain_timeout_ms / 1000
        self._attempt_timeout_ms = attempt_timeout_ms
        self._moves = 0
        self._held = HeldTasks()
        self._queue = Queue()
        self._slots: dict[int, Held] = {}
        self._unsettled: dict[int, Held] = {}
        self._settling: asyncio.Task[None] | None = None
        self._pause = Pause(clock)
        self._closing: set[TopicPartition] = set()
        self._wake = asyncio.Event()
        self._side_work: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look again at what may start: a limit has changed."""
        self._wake.set()

    def movement(self) -> Movement | None:
        """What the watchdog is to see move: attempts that start and end.

        None while there is nothing to do, or a full disk or a retry's wait holds it up; and while attempts
        run, they may take as long as their limits allow.
        """
        is_waiting = self._queue.due(self._clock()) or self._unsettled
        if self._pause.is_on or not (is_waiting or self._slots):
            return None
        limit_ms = self._attempt_timeout_ms + self._config().config.clip_timeout_ms if self._slots else 0
        return Movement(self._moves, limit_ms / 1000)

    async def run(self, stop: asyncio.Event) -> None:
        """Start waiting tasks whenever there is room, until `stop`."""
        stopping = asyncio.create_task(stop.wait())
        metrics.TASKS_WAITING.set_function(lambda: len(self._queue))
        try:
            while not stop.is_set():
                self._wake.clear()
                self._start_what_fits()
                await self._until_something_changes(stopping)
        finally:
            metrics.TASKS_WAITING.set_function(lambda: 0)
            stopping.cancel()

    def deliver(self, delivery: Delivery) -> None:
        """Take a task that is to be done; put aside what is none."""
        task = read_task(delivery.record.value)
        if not isinstance(task, ClipTask):
            why = Poison("the record has no value") if isinstance(task, Tombstone) else task
            self._in_background(self._put_aside(delivery, why))
            return
        held, is_news = self._held.take(task, delivery)
        if is_news:
            self._take_out_of_queue(held)
            self._admit(held)

    def mix_changed(self, mix_id: str) -> None:
        """A mix has ended or was revised: drop the tasks whose clips it wants no more, running or not."""
        waiting = [self._held[order] for order in self._queue.waiting_of(mix_id)]
        running = [held for held in self._slots.values() if held.mix_id == mix_id]
        unwanted = [
            held for held in (*waiting, *running) if not held.is_dropped and not self._wanted.wants(held)
        ]
        for held in unwanted:
            self._drop(held)
        if unwanted:
            log.info(
                "render_worker.tasks_dropped",
                mix_id=mix_id,
                trace_id=unwanted[0].read().trace_id,
                tasks=len(unwanted),
                running=sum(held.run is not None for held in unwanted),
            )

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget what waits; let what runs end within the drain limit, then stop it."""
        self._closing |= partitions
        self._forget(partitions)
        running = {held.run for held in self._slots.values() if held.run and held.partition in partitions}
        if running:
            _, late = await asyncio.wait(running, timeout=self._drain_timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        self._forget(partitions)
        self._closing -= partitions

    def _forget(self, partitions: frozenset[TopicPartition]) -> None:
        for held in self._held.forget_deliveries(partitions):
            self._take_out_of_queue(held)
            self._unsettled.pop(held.order, None)

    def _admit(self, held: Held) -> None:
        """Queue a task whose clip is wanted; find out whether it is, when that is not known."""
        is_wanted = self._wanted.wants(held)
        if is_wanted is None:
            self._unsettled[held.order] = held
            if self._settling is None:
                self._settling = self._in_background(self._settle())
        elif is_wanted:
            self._enqueue(held)
        else:
            self._drop(held)

    async def _settle(self) -> None:
        """Decide on tasks of unknown mixes, in rounds: those of a round share one question to the broker."""
        try:
            while self._unsettled:
                asked_before = tuple(self._unsettled)
                await self._wanted.catch_up()
                for order in asked_before:
                    held = self._unsettled.pop(order, None)
                    if held is None:  # revoked meanwhile
                        continue
                    if self._wanted.wants(held):
                        self._enqueue(held)
                    else:
                        self._drop(held)
        finally:
            self._settling = None

    def _enqueue(self, held: Held) -> None:
        self._queue.add(held.waiting)
        held.is_queued = True
        self._wake.set()

    def _take_out_of_queue(self, held: Held) -> None:
        if held.is_queued:
            self._queue.remove(held.order)
            held.is_queued = False

    def _drop(self, held: Held) -> None:
        self._take_out_of_queue(held)
        # At once, even while it runs: who asks for the same again is not to share its end.
        self._held.forget(held)
        if held.run is not None:
            held.is_dropped = True
            held.run.cancel()
        else:
            held.finish()

    def _start_what_fits(self) -> None:
        config = self._config().config
        now_ms = self._clock()
        for _ in range(self._pause.room(config.max_parallelism - len(self._slots))):
            waiting = self._queue.take_next(per_video_limit=config.per_video_limit, now_ms=now_ms)
            if waiting is None:
                break
            self._start(waiting)

    def _start(self, waiting: Waiting) -> None:
        held = self._held[waiting.order]
        held.is_queued = False
        self._moves += 1
        slot = next(slot for slot in range(len(self._slots) + 1) if slot not in self._slots)
        self._slots[slot] = held
        self._pause.started(held.order)
        held.run = asyncio.create_task(
            self._runner.run(held.read(), held.deliveries[0].record.ref, slot), name=f"attempt in slot {slot}"
        )
        # No `finally` of a coroutine: one that is cancelled before its first step has none.
        held.run.add_done_callback(partial(self._ended, held, waiting, slot))

    def _ended(self, held: Held, waiting: Waiting, slot: int, run: asyncio.Task[None]) -> None:
        held.run = None
        self._moves += 1
        del self._slots[slot]
        self._queue.release(waiting)
        self._wake.set()
        error = asyncio.CancelledError() if run.cancelled() else run.exception()
        if held.is_dropped:
            if run.cancelled():
                _tell_dropped(held.read(), slot)
            self._pause.ended(held.order, well=False)
            held.finish()
        elif error is None:
            self._pause.ended(held.order, well=True)
            self._held.forget(held)
            held.finish()
        else:
            self._put_back(held, error)

    def _put_back(self, held: Held, error: BaseException) -> None:
        """Try again later: our own fault is never a placeholder, and the record stays uncommitted."""
        if held.partition in self._closing:  # its next owner is handed the record
            self._pause.ended(held.order, well=False)
            return
        if isinstance(error, OwnFaultError):
            is_its_own = self._pause.met_fault(held.order, error)
        else:
            self._pause.ended(held.order, well=False)
            is_its_own = True
            metrics.ATTEMPTS_CRASHED.inc()
            log.error(
                "render_worker.attempt_crashed",
                mix_id=held.mix_id,
                clip_task_id=held.clip_task_id,
                exc_info=error,
            )
        wait_ms = PUT_BACK_MS
        if is_its_own:
            wait_ms <<= min(held.faults, MAX_DOUBLINGS)
            held.faults += 1
        self._held.put_back(held, self._clock() + wait_ms)
        self._enqueue(held)

    async def _until_something_changes(self, stopping: asyncio.Task[bool]) -> None:
        now_ms = self._clock()
        moments = [self._queue.next_due(now_ms), self._pause.next_probe_ms]
        soonest = min((moment for moment in moments if moment is not None), default=None)
        timeout_s = None if soonest is None else max(soonest - now_ms, 0) / 1000
        waking = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({waking, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._side_work.add(task)
        task.add_done_callback(self._side_work.discard)
        return task

    async def _put_aside(self, delivery: Delivery, why: Poison) -> None:
        with suppress(asyncio.CancelledError):
            await self._writer.put_aside(delivery.record, why, CUTTER_GROUP)
            delivery.finish()


def _tell_dropped(task: ClipTask, slot: int) -> None:
    """The last line of an attempt that ended in nothing, because its mix wants the clip no more."""
    log.info(
        "render_worker.clip_task_dropped",
        mix_id=task.mix_id,
        trace_id=task.trace_id,
        clip_task_id=task.clip_task_id,
        clip_index=task.clip_index,
        parallel_slot=slot,
        video_id=task.candidate.video_id if task.candidate else None,
        candidate_index=task.candidate_index,
        attempt=task.attempt,
    )
