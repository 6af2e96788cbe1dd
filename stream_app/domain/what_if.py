"""What would have been: the scheduling of past mixes, replayed with the durations that were recorded.

The scheduler is the one that workers run (`schedule.Queue`). Everything else is taken from the record: when a
mix came to be cut, how long each attempt took, how long a slot was handed over to the next one, how long a
retry waited at least, and how long the join took.
Durations stay what they were: where all cores were busy already, more slots would have made each cut slower.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from stream_app.domain.schedule import Queue, Waiting


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt as it was recorded; times are ms since 1970.

    Attributes:
        waited_ms: how long it waited on purpose after the attempt before it: a retry does.
    """

    line: str
    video: str
    worker: str
    started_at_ms: int
    finished_at_ms: int
    waited_ms: int = 0


@dataclass(frozen=True, slots=True)
class PastMix:
    """A mix that has ended, and every attempt at it; times are ms since 1970.

    Attributes:
        handover_ms: how long after an attempt the next one in its slot begins: the result is told to Kafka.
    """

    mix_id: str
    submitted_at_ms: int
    finished_at_ms: int
    tried: tuple[Tried, ...]
    priority: int = 5
    handover_ms: int = 0

    @property
    def wall_ms(self) -> int:
        """From its request to its end, as recorded."""
        return self.finished_at_ms - self.submitted_at_ms

    @property
    def cut_from_ms(self) -> int:
        """When its first attempt started."""
        return min((each.started_at_ms for each in self.tried), default=self.submitted_at_ms)

    @property
    def cut_until_ms(self) -> int:
        """When its last attempt was over: what followed was the join."""
        return max((each.finished_at_ms for each in self.tried), default=self.finished_at_ms)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is to be in force: slots of each worker, attempts at one video at a time, and how many workers.

    Without a number of workers each attempt is made by the worker that made it; with one, videos are dealt
    out.
    """

    max_parallelism: int
    per_video_limit: int
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mix in the replay: from its request to its end, ms, and its attempts at one moment."""

    wall_ms: int
    peak_parallelism: int


def replay(mixes: Sequence[PastMix], limits: Limits) -> dict[str, Outcome]:
    """The outcome of each mix under `limits`; one without attempts took as long as it did."""
    return _Replay(mixes, limits).run()


@dataclass(slots=True)
class _Step:
    """An attempt, and the one of the same line that comes after it."""

    mix: PastMix
    tried: Tried
    next: "_Step | None" = None

    @property
    def duration_ms(self) -> int:
        return max(self.tried.finished_at_ms - self.tried.started_at_ms, 0)


@dataclass(slots=True)
class _Worker:
    """A queue of its own, as each worker has."""

    queue: Queue = field(default_factory=Queue)
    in_slots: int = 0


class _Replay:
    """Things happen in the order of time; what happens at the same moment comes before slots are filled."""

    def __init__(self, mixes: Sequence[PastMix], limits: Limits) -> None:
        self._mixes = mixes
        self._limits = limits
        self._now = 0
        self._count = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._waiting: dict[int, _Step] = {}
        self._workers: dict[str, _Worker] = {}
        self._running = Counter[str]()
        self._peaks = Counter[str]()
        self._ended_at: dict[str, int] = {}
        self._dealt_out = _dealt_out(mixes, limits.workers)

    def run(self) -> dict[str, Outcome]:
        for mix in self._mixes:
            for first in _chains(mix):
                self._at(mix.cut_from_ms, partial(self._wait, first))
        while self._agenda:
            self._now = self._agenda[0][0]
            while self._agenda and self._agenda[0][0] == self._now:
                heapq.heappop(self._agenda)[2]()
            for worker in self._workers.values():
                self._fill(worker)
        return {mix.mix_id: self._outcome(mix) for mix in self._mixes}

    def _at(self, moment_ms: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (moment_ms, self._count, action))

    def _wait(self, step: _Step) -> None:
        self._count += 1
        self._waiting[self._count] = step
        task = Waiting(self._count, step.mix.mix_id, step.tried.video, step.mix.priority, 0)
        name = self._dealt_out.get(step.tried.video, step.tried.worker)
        self._workers.setdefault(name, _Worker()).queue.add(task)

    def _fill(self, worker: _Worker) -> None:
        while worker.in_slots < self._limits.max_parallelism:
            task = worker.queue.take_next(per_video_limit=self._limits.per_video_limit, now_ms=self._now)
            if task is None:
                return
            worker.in_slots += 1
            self._running[task.mix_id] += 1
            self._peaks[task.mix_id] = max(self._peaks[task.mix_id], self._running[task.mix_id])
            step = self._waiting.pop(task.order)
            self._at(self._now + step.duration_ms, partial(self._end, step))
            free_at_ms = self._now + step.duration_ms + step.mix.handover_ms
            self._at(free_at_ms, partial(self._free, worker, task))

    def _end(self, step: _Step) -> None:
        self._running[step.mix.mix_id] -= 1
        self._ended_at[step.mix.mix_id] = self._now
        if step.next is not None:
            self._at(self._now + step.next.tried.waited_ms, partial(self._wait, step.next))

    def _free(self, worker: _Worker, task: Waiting) -> None:
        worker.queue.release(task)
        worker.in_slots -= 1

    def _outcome(self, mix: PastMix) -> Outcome:
        saved_ms = mix.cut_until_ms - self._ended_at.get(mix.mix_id, mix.cut_until_ms)
        return Outcome(mix.wall_ms - saved_ms, self._peaks[mix.mix_id])


def _chains(mix: PastMix) -> list[_Step]:
    """The first attempt at each line, in the order in which they were made, each with what came after it."""
    firsts: dict[str, _Step] = {}
    last: dict[str, _Step] = {}
    for tried in sorted(mix.tried, key=lambda each: (each.started_at_ms, each.line)):
        step = _Step(mix, tried)
        if tried.line in last:
            last[tried.line].next = step
        firsts.setdefault(tried.line, step)
        last[tried.line] = step
    return list(firsts.values())


def _dealt_out(mixes: Sequence[PastMix], workers: int | None) -> dict[str, str]:
    """Which worker has which video: in turn, as the partitions of a topic are; none when it is as it was."""
    if workers is None:
        return {}
    videos = sorted({each.video for mix in mixes for each in mix.tried})
    return {video: str(number % workers) for number, video in enumerate(videos)}
