"""The assembler: folds the events of every mix and joins those whose lines all have their outcome.

It keeps no store. A record counts as done only when its mix has ended, so a restart reads the unfinished
mixes again from the log, and nothing else. A mix that had ended and is revised has its earlier events below
what is committed: they are read from the log once more before anything is decided on it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from stream_app.assembly.job_dir import JobDirs
from stream_app.assembly.joiner import Joiner
from stream_app.assembly.recent_ends import RecentEnds
from stream_app.domain.mix import Mix
from stream_app.file_uri import path_of
from stream_app.kafka.group_reader import Delivery
from stream_app.kafka.writer import Writer
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, Tombstone, read_event
from topics.events import (
    AnyMixEvent,
    ClipCompleted,
    ClipOutcome,
    ClipPlaceholder,
    MixAccepted,
    MixEnd,
    MixRendered,
    PlannedLine,
)

MAX_RECALLS = 4
"""Mixes whose earlier events are read from the log at one time; each takes a connection to Kafka."""

Recall = Callable[[str, int, int], Awaitable[Mix]]
"""Folds the events of a mix from one offset up to, not including, another."""

log = get_logger()


@dataclass(eq=False, slots=True)
class _InWork:
    """A mix that has not ended, and the records that must be read again if we stop before it has."""

    partition: TopicPartition
    mix: Mix = field(default_factory=Mix)
    deliveries: list[Delivery] = field(default_factory=list)
    recalling: asyncio.Task[None] | None = None
    untold: list[AnyMixEvent] = field(default_factory=list)
    preparing: asyncio.Task[None] | None = None
    joining: asyncio.Task[None] | None = None

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What goes on for it."""
        return [task for task in (self.recalling, self.preparing, self.joining) if task]


class Assembler:
    """The work of the assembler group."""

    def __init__(self, joiner: Joiner, writer: Writer, job_dirs: JobDirs, recall: Recall) -> None:
        self._joiner = joiner
        self._writer = writer
        self._job_dirs = job_dirs
        self._recall = recall
        self._recalls = asyncio.Semaphore(MAX_RECALLS)
        self._in_work: dict[str, _InWork] = {}
        self._ended = RecentEnds()
        self._read_since: dict[TopicPartition, int] = {}
        self._running: set[asyncio.Task[None]] = set()

    def deliver(self, delivery: Delivery) -> None:
        """Fold the next event into its mix, and do what has become possible."""
        self._read_since.setdefault(delivery.partition, delivery.record.ref.offset)
        event = read_event(delivery.record.value)
        if isinstance(event, Poison | Tombstone):
            # The log is ours to write and kept for ever: what cannot be read stays there for a newer version.
            log.warning("assembler.event_skipped", record=str(delivery.record.ref), error=str(event))
            delivery.finish()
            return
        work = self._in_work.get(event.mix_id)
        if work is None and isinstance(event, MixAccepted) and not self._ended.has(event):
            work = self._begin(event, delivery)
        if work is None:
            # A mix is accepted before anything else of it: one that is not in work has ended, or never began.
            delivery.finish()
            return
        work.deliveries.append(delivery)
        if work.recalling is not None:
            work.untold.append(event)
        else:
            self._fold(work, event)
            self._go_on(event.mix_id, work)

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget the mixes of these partitions; their next owner reads them again and joins them."""
        lost = {mix_id: work for mix_id, work in self._in_work.items() if work.partition in partitions}
        tasks = [task for work in lost.values() for task in work.tasks]
        for task in tasks:
            task.cancel()
        for mix_id in lost:
            del self._in_work[mix_id]
            # After a freeze the next owner may have ended the mix long ago; else it shows its clips anew.
            self._job_dirs.remove(mix_id)
        for partition in partitions:
            self._read_since.pop(partition, None)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, event: MixAccepted, delivery: Delivery) -> _InWork:
        work = self._in_work[event.mix_id] = _InWork(delivery.partition)
        here = delivery.record.ref.offset
        start = _earliest(event, here)
        if start < here and (event.revision > 1 or start < self._read_since[delivery.partition]):
            work.recalling = self._run(self._recall_into(work, event.mix_id, start, here))
        return work

    async def _recall_into(self, work: _InWork, mix_id: str, start: int, end: int) -> None:
        """Let the earlier events come first, then those that were delivered meanwhile."""
        async with self._recalls:
            work.mix = await self._recall(mix_id, start, end)
        work.recalling = None
        for event in work.untold:
            self._fold(work, event)
        work.untold.clear()
        self._go_on(mix_id, work)

    def _fold(self, work: _InWork, event: AnyMixEvent) -> None:
        mix = work.mix
        plan, end = mix.accepted, mix.end
        mix.apply(event)
        if mix.accepted is not plan and mix.accepted is not None:
            self._stop_joining(work)
            work.preparing = self._run(self._joiner.prepare(mix.accepted))
            self._job_dirs.relink(event.mix_id, map(_shown, mix.effective_lines))
        elif isinstance(event, ClipCompleted | ClipPlaceholder) and (line := mix.line_of(event.clip_task_id)):
            self._job_dirs.link(event.mix_id, *_shown((line, event)))
        if mix.end is not None and mix.end is not end:
            _tell(mix, mix.end)

    def _go_on(self, mix_id: str, work: _InWork) -> None:
        if work.mix.end is not None:
            self._conclude(mix_id, work)
        elif work.mix.is_ready and work.joining is None:
            work.joining = self._run(self._join(work))

    def _conclude(self, mix_id: str, work: _InWork) -> None:
        self._stop_joining(work)
        self._job_dirs.remove(mix_id)
        if work.mix.accepted is not None:
            self._ended.note(work.mix.accepted)
        del self._in_work[mix_id]
        for delivery in work.deliveries:
            delivery.finish()

    async def _join(self, work: _InWork) -> None:
        """Make the video and say so in the log; the mix ends when that event is read back from there."""
        if work.preparing is not None:
            await asyncio.wait({work.preparing})
        end = await self._joiner.join(work.mix, work.deliveries[-1].record.ref)
        await self._writer.send_event(end)

    def _stop_joining(self, work: _InWork) -> None:
        for task in (work.preparing, work.joining):
            if task is not None:
                task.cancel()
        work.preparing = work.joining = None

    def _run(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(what)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _earliest(event: MixAccepted, here: int) -> int:
    """The offset from which on all of the mix is told."""
    if event.log_start is not None:
        return event.log_start
    return here if event.revision == 1 else 0


def _shown(effective: tuple[PlannedLine, ClipOutcome]) -> tuple[int, Path]:
    line, outcome = effective
    return line.clip_index, path_of(outcome.uri)


def _tell(mix: Mix, end: MixEnd) -> None:
    """The one line of a mix."""
    metrics.MIXES_ENDED.labels(end.type).inc()
    plan = mix.accepted
    about: dict[str, Any] = {
        "mix_id": end.mix_id,
        "trace_id": end.trace_id,
        "revision": end.revision,
        "lines": plan.total_clips if plan else None,
        "elapsed_ms": end.at_ms - plan.submitted_at_ms if plan else None,
    }
    if isinstance(end, MixRendered):
        log.info(
            "render_worker.clip_stats",
            **about,
            uri=end.uri,
            sha256=end.sha256,
            bytes=end.bytes,
            frames=end.frames,
            duration_ms=end.duration_ms,
            **end.clip_stats.model_dump(mode="json"),
        )
    else:
        log.warning(
            "render_worker.mix_ended",
            **about,
            result=end.type,
            reason=end.reason,
            error=end.message,
            **mix.stats().model_dump(mode="json"),
        )
