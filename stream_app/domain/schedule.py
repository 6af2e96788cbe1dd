"""Decide which waiting tasks start next: urgent ones first, fairly across mixes, within every limit."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that waits for a slot; `order` counts up in the order of delivery."""

    order: int
    mix_id: str
    video: str
    priority: int
    not_before_ms: int


def next_tasks(
    waiting: Iterable[Waiting],
    running: Iterable[Waiting],
    *,
    free_slots: int,
    per_video_limit: int,
    now_ms: int,
) -> list[Waiting]:
    """The tasks to start now, at most `free_slots`.

    Among those whose time has come and whose video has room: the highest priority first; within it the mix
    with the fewest tasks in slots, so that a long mix never starves a short one; within a mix as delivered.
    """
    busy = tuple(running)
    in_slots = Counter(task.mix_id for task in busy)
    at_video = Counter(task.video for task in busy)
    queues = _by_mix(task for task in waiting if task.not_before_ms <= now_ms)
    chosen: list[Waiting] = []
    while len(chosen) < free_slots:
        heads = (_head(queue, at_video, per_video_limit) for queue in queues.values())
        best = min(
            (task for task in heads if task),
            key=lambda task: (-task.priority, in_slots[task.mix_id], task.order),
            default=None,
        )
        if best is None:
            break
        chosen.append(best)
        queues[best.mix_id].remove(best)
        in_slots[best.mix_id] += 1
        at_video[best.video] += 1
    return chosen


def _by_mix(tasks: Iterable[Waiting]) -> dict[str, list[Waiting]]:
    queues: dict[str, list[Waiting]] = {}
    for task in sorted(tasks, key=lambda task: (-task.priority, task.order)):
        queues.setdefault(task.mix_id, []).append(task)
    return queues


def _head(queue: list[Waiting], at_video: Mapping[str, int], per_video_limit: int) -> Waiting | None:
    """The first task of a mix whose video has room; the others of that video wait."""
    return next((task for task in queue if at_video[task.video] < per_video_limit), None)


def next_due_ms(waiting: Iterable[Waiting], now_ms: int) -> int | None:
    """When the earliest task that is not due yet becomes due; `None` when all are."""
    return min(_future(waiting, now_ms), default=None)


def _future(waiting: Iterable[Waiting], now_ms: int) -> Iterator[int]:
    return (task.not_before_ms for task in waiting if task.not_before_ms > now_ms)
