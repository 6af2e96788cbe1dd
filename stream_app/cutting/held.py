"""What a worker keeps of the tasks that were handed to it and are not done."""

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from aiokafka import TopicPartition

from stream_app.domain.schedule import Waiting
from stream_app.kafka.group_reader import Delivery
from topics.codec import read_task
from topics.tasks import ClipTask


@dataclass(eq=False, slots=True)
class Held:
    """One task, and every record that asked for it; the first one's record is the task.

    It stays JSON until a slot is free: so it takes 2 KB in all, read it would take 7 KB more, and tens of
    thousands may wait.
    """

    event_id: str
    clip_task_id: str
    revision: int
    waiting: Waiting
    deliveries: list[Delivery]
    is_queued: bool = False
    run: asyncio.Task[None] | None = None
    is_dropped: bool = False
    faults: int = 0
    """How often it was put back for a fault that may be its own."""

    @property
    def order(self) -> int:
        """What the scheduler calls it."""
        return self.waiting.order

    @property
    def mix_id(self) -> str:
        """The mix."""
        return self.waiting.mix_id

    @property
    def partition(self) -> TopicPartition:
        """Where the task came from."""
        return self.deliveries[0].partition

    def read(self) -> ClipTask:
        """The task."""
        record = self.deliveries[0].record
        task = read_task(record.value)
        if not isinstance(task, ClipTask):
            raise TypeError(f"{record.ref} was a task when it came")
        return task

    def finish(self) -> None:
        """All that it asked for is done and acknowledged, or wanted no more."""
        for delivery in self.deliveries:
            delivery.finish()


class HeldTasks:
    """The tasks of a worker by what the scheduler calls them; each once, however often it was delivered."""

    def __init__(self) -> None:
        self._by_order: dict[int, Held] = {}
        self._by_event: dict[str, Held] = {}
        self._last_order = 0

    def __iter__(self) -> Iterator[Held]:
        return iter(self._by_order.values())

    def __getitem__(self, order: int) -> Held:
        return self._by_order[order]

    def take(self, task: ClipTask, delivery: Delivery) -> tuple[Held, bool]:
        """Hold a task that was delivered; whether it asks for anything new.

        A later revision does so of a clip that is not begun, such as with another priority.
        """
        # The headers of a record take 1 KB, and nothing here reads them.
        slim = replace(delivery, record=replace(delivery.record, key=None, headers=[]))
        held = self._by_event.get(task.event_id)
        if held is None:
            self._last_order += 1
            waiting = _waiting(task, self._last_order)
            held = Held(task.event_id, task.clip_task_id, task.revision, waiting, [slim])
            self._by_order[held.order] = self._by_event[held.event_id] = held
            return held, True
        if held.run is None and task.revision > held.revision:
            held.revision = task.revision
            held.waiting = _waiting(task, held.order)
            held.deliveries.insert(0, slim)
            return held, True
        held.deliveries.append(slim)
        return held, False

    def put_back(self, held: Held, not_before_ms: int) -> None:
        """Have a task wait until then, and behind all others."""
        del self._by_order[held.order]
        self._last_order += 1
        held.waiting = replace(held.waiting, order=self._last_order, not_before_ms=not_before_ms)
        self._by_order[held.order] = held

    def forget(self, held: Held) -> None:
        """Hold a task no longer."""
        del self._by_order[held.order]
        del self._by_event[held.event_id]

    def forget_deliveries(self, partitions: Collection[TopicPartition]) -> list[Held]:
        """Forget what came from these partitions; returns the tasks that nobody asks for any more.

        Those that run are left alone.
        """
        lost = []
        for held in [each for each in self if each.run is None]:
            held.deliveries = [each for each in held.deliveries if each.partition not in partitions]
            if not held.deliveries:
                self.forget(held)
                lost.append(held)
        return lost


def _waiting(task: ClipTask, order: int) -> Waiting:
    return Waiting(
        order,
        task.mix_id,
        task.candidate.video_id if task.candidate else None,
        task.priority,
        task.not_before_ms,
        task.deadline_at_ms,
    )
