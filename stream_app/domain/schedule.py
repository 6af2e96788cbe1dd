"""Decide which waiting task starts next: urgent ones first, fairly across mixes, within every limit."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

OVERDUE_PRIORITY = 10
"""Above every priority of a mix: all that is left to make of an overdue task is its placeholder, cheaply."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that waits for a slot; `order` counts up in the order of delivery and names it.

    Without a `video` it asks nothing of any source, and no limit holds it back.
    """

    order: int
    mix_id: str
    video: str | None
    priority: int
    not_before_ms: int
    deadline_at_ms: int | None = None


_Moment = tuple[int, int]
"""A time and the order of the task for which it matters."""

_Key = tuple[int, int]
"""A task's place in its mix: its priority, negated, and its order."""

_Rank = tuple[int, int, int, int]
"""A mix's place: its next task's priority, negated; how much is left of it; last turn; that task's order."""


class Queue:
    """The tasks of one worker: those that wait, and which of them are in slots.

    The next task is, of those whose time has come and whose video has room, one of the highest priority. In
    that, mixes without any task in a slot take turns, so that every mix goes on; what slots are left then go
    to the mix of which the fewest tasks wait, so that a short one is soon over, however long the others are.
    In a mix the one delivered first is next. When a task's deadline passes, it waits no longer for its time
    or for room and goes before all others.

    A decision costs the same however many tasks wait. It looks at mixes from the best on, and in each past
    the videos that are full, which are fewer than the slots; only mixes that have nothing but tasks of
    full videos are looked at in vain. The sorted lists move as blocks of memory: microseconds at 10,000.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._mixes: dict[str, _Mix] = {}
        self._ranking: list[tuple[_Rank, str]] = []
        self._not_due: list[_Moment] = []
        self._deadlines: list[_Moment] = []
        self._at_video: Counter[str] = Counter()
        self._turns = 0

    def __len__(self) -> int:
        """How many tasks wait."""
        return len(self._waiting)

    def due(self, now_ms: int) -> int:
        """How many tasks wait for nothing but room."""
        self._let_time_pass(now_ms)
        return len(self._waiting) - len(self._not_due)

    def add(self, task: Waiting) -> None:
        """Have a task wait for its turn."""
        self._waiting[task.order] = task
        self._mixes.setdefault(task.mix_id, _Mix())
        with self._reranked(task.mix_id) as mix:
            mix.waiting.add(task.order)
        # Looked at when its time has come, even if that is now: the queue has no clock of its own.
        insort(self._not_due, (task.not_before_ms, task.order))
        if task.deadline_at_ms is not None:
            insort(self._deadlines, (task.deadline_at_ms, task.order))

    def remove(self, order: int) -> None:
        """Forget a task that waits."""
        task = self._waiting.pop(order)
        _discard(self._not_due, (task.not_before_ms, order))
        if task.deadline_at_ms is not None:
            _discard(self._deadlines, (task.deadline_at_ms, order))
        with self._reranked(task.mix_id) as mix:
            mix.waiting.discard(order)
            mix.close(task)

    def waiting_of(self, mix_id: str) -> list[int]:
        """The orders of a mix's waiting tasks, as delivered."""
        mix = self._mixes.get(mix_id)
        return sorted(mix.waiting) if mix else []

    def take_next(self, *, per_video_limit: int, now_ms: int) -> Waiting | None:
        """Put the next task into a slot; `None` when none may start now."""
        self._let_time_pass(now_ms)
        order = self._best(per_video_limit)
        if order is None:
            return None
        task = self._waiting[order]
        with self._reranked(task.mix_id) as mix:
            mix.in_slots += 1
            self._turns += 1
            mix.last_turn = self._turns
        if task.video is not None:
            self._at_video[task.video] += 1
        self.remove(order)
        return task

    def release(self, task: Waiting) -> None:
        """A task that was taken has left its slot."""
        with self._reranked(task.mix_id) as mix:
            mix.in_slots -= 1
        if task.video is not None:
            self._at_video[task.video] -= 1
            if not self._at_video[task.video]:
                del self._at_video[task.video]

    def next_due(self, now_ms: int) -> int | None:
        """When the next task becomes due or overdue; `None` when the time changes nothing any more."""
        self._let_time_pass(now_ms)
        return min((times[0][0] for times in (self._not_due, self._deadlines) if times), default=None)

    def _let_time_pass(self, now_ms: int) -> None:
        for order in _take_until(self._deadlines, now_ms):
            task = self._waiting[order]
            late = replace(task, video=None, priority=OVERDUE_PRIORITY, not_before_ms=0, deadline_at_ms=None)
            _discard(self._not_due, (task.not_before_ms, order))
            with self._reranked(task.mix_id) as mix:
                mix.close(task)
                mix.open(late)
            self._waiting[order] = late
        for order in _take_until(self._not_due, now_ms):
            task = self._waiting[order]
            with self._reranked(task.mix_id) as mix:
                mix.open(task)

    def _best(self, per_video_limit: int) -> int | None:
        full = {video for video, count in self._at_video.items() if count >= per_video_limit}
        best: _Rank | None = None
        for rank, mix_id in self._ranking:
            # A mix stands where its first task puts it; with that one's video full, it really comes later.
            if best is not None and best < rank:
                break
            own = self._mixes[mix_id].rank(full)
            if own is not None and (best is None or own < best):
                best = own
        return best[-1] if best else None

    @contextmanager
    def _reranked(self, mix_id: str) -> "Iterator[_Mix]":
        """Keep a mix at its place in the ranking over a change, and forget it when nothing is left of it."""
        mix = self._mixes[mix_id]
        before = mix.rank()
        yield mix
        after = mix.rank()
        if before != after:
            if before is not None:
                _discard(self._ranking, (before, mix_id))
            if after is not None:
                insort(self._ranking, (after, mix_id))
        if not mix.waiting and not mix.in_slots:
            del self._mixes[mix_id]


@dataclass(slots=True)
class _Mix:
    """One mix's tasks: those that wait, and those of them that are due, by video."""

    in_slots: int = 0
    last_turn: int = 0
    waiting: set[int] = field(default_factory=set)
    _lanes: dict[str | None, list[_Key]] = field(default_factory=dict)
    _heads: list[tuple[_Key, str | None]] = field(default_factory=list)
    """The first task of each video."""

    def open(self, task: Waiting) -> None:
        """A task has become due."""
        self._change_lane(task, insort)

    def close(self, task: Waiting) -> None:
        """A task is no longer there; it may never have become due."""
        if task.video in self._lanes:
            self._change_lane(task, _discard)

    def rank(self, full: Collection[str] = ()) -> "_Rank | None":
        """Where its next task puts it, leaving out tasks of `full` videos; `None` without one."""
        key = next((key for key, video in self._heads if video not in full), None)
        left = len(self.waiting) if self.in_slots else 0
        return None if key is None else (key[0], left, self.last_turn, key[1])

    def _change_lane(self, task: Waiting, change: Callable[[list[_Key], _Key], None]) -> None:
        lane = self._lanes.setdefault(task.video, [])
        before = lane[:1]
        change(lane, (-task.priority, task.order))
        after = lane[:1]
        if before != after:
            for key in before:
                _discard(self._heads, (key, task.video))
            for key in after:
                insort(self._heads, (key, task.video))
        if not lane:
            del self._lanes[task.video]


def _discard(items: list[Any], item: Any) -> None:
    """Take `item` out of a sorted list, if it is there."""
    place = bisect_left(items, item)
    if place < len(items) and items[place] == item:
        del items[place]


def _take_until(times: list[_Moment], now_ms: int) -> list[int]:
    """Take out whose moment has come."""
    count = bisect_left(times, (now_ms + 1,))
    taken = [order for _, order in times[:count]]
    del times[:count]
    return taken
