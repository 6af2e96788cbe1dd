"""The scheduler against a plain statement of its rules, and what its rules promise to users."""

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stream_app.domain.schedule import OVERDUE_PRIORITY, Queue, Waiting


def waiting(
    order: int,
    mix_id: str = "m",
    video: str | None = "v",
    *,
    priority: int = 5,
    due: int = 0,
    deadline: int | None = None,
) -> Waiting:
    return Waiting(order, mix_id, video, priority, due, deadline)


def queue_of(*tasks: Waiting) -> Queue:
    queue = Queue()
    for task in tasks:
        queue.add(task)
    return queue


def start(queue: Queue, *, slots: int = 4, limit: int = 4, now: int = 0) -> list[int]:
    chosen = (queue.take_next(per_video_limit=limit, now_ms=now) for _ in range(slots))
    return [task.order for task in chosen if task]


def test_tasks_start_in_the_order_of_delivery() -> None:
    assert start(queue_of(waiting(3), waiting(1), waiting(2)), slots=2) == [1, 2]


def test_the_urgent_mix_goes_first() -> None:
    assert start(queue_of(waiting(1), waiting(2, "urgent", priority=9)), slots=1) == [2]


def test_a_short_mix_is_not_starved_by_a_long_one() -> None:
    long = [waiting(order, "long", f"v{order}") for order in range(100)]
    short = [waiting(1000 + order, "short", f"w{order}") for order in range(5)]
    assert Counter(order >= 1000 for order in start(queue_of(*long, *short))) == {False: 1, True: 3}


def test_every_mix_goes_on_however_many_short_ones_there_are() -> None:
    mixes = [waiting(order, f"mix-{order % 4}", f"v{order}") for order in range(40)]
    short = [waiting(1000 + order, "short", f"w{order}") for order in range(2)]
    assert Counter(order % 4 for order in start(queue_of(*mixes, *short), slots=5)[:4]) == dict.fromkeys(
        range(4), 1
    )


def test_a_single_slot_goes_round_the_mixes() -> None:
    queue = queue_of(waiting(1, "a"), waiting(2, "a"), waiting(3, "b"), waiting(4, "b"), waiting(5, "c"))
    taken = []
    while task := queue.take_next(per_video_limit=1, now_ms=0):
        taken.append(task.order)
        queue.release(task)
    assert taken == [1, 3, 5, 2, 4]


def test_a_video_at_its_limit_leaves_its_slots_to_others() -> None:
    queue = queue_of(
        waiting(0, video="hot"), waiting(1, video="hot"), waiting(2, video="hot"), waiting(3, video="cold")
    )
    assert start(queue, limit=2) == [0, 1, 3]


def test_a_task_without_a_source_is_held_back_by_no_limit() -> None:
    assert start(queue_of(*(waiting(order, video=None) for order in range(4))), limit=1) == [0, 1, 2, 3]


def test_room_at_a_video_is_there_again_after_a_release() -> None:
    queue = queue_of(waiting(1), waiting(2))
    first = queue.take_next(per_video_limit=1, now_ms=0)
    assert first is not None
    assert queue.take_next(per_video_limit=1, now_ms=0) is None
    queue.release(first)
    assert start(queue, limit=1) == [2]


def test_a_retry_waits_for_its_time() -> None:
    queue = queue_of(waiting(1, due=500), waiting(2))
    assert start(queue, now=499) == [2]
    assert queue.next_due(499) == 500
    assert start(queue, now=500) == [1]
    assert queue.next_due(500) is None


def test_a_task_whose_deadline_passes_goes_before_all_others_without_room_or_its_time() -> None:
    late = waiting(3, "late", priority=0, due=9_000, deadline=1_000)
    queue = queue_of(waiting(1, priority=9), waiting(2, priority=9), late)
    assert start(queue, slots=1, limit=1, now=999) == [1]
    assert queue.next_due(999) == 1_000
    assert start(queue, slots=4, limit=1, now=1_000) == [3]
    assert queue.next_due(1_000) is None


def test_a_forgotten_task_never_starts() -> None:
    queue = queue_of(waiting(1), waiting(2, due=700), waiting(3, deadline=600), waiting(4, "n"))
    assert queue.waiting_of("m") == [1, 2, 3]
    for order in queue.waiting_of("m"):
        queue.remove(order)
    assert (len(queue), queue.waiting_of("m"), queue.next_due(0)) == (1, [], None)
    assert start(queue, now=1_000) == [4]


@dataclass
class Plain:
    """The rules, said as plainly as can be."""

    tasks: dict[int, Waiting] = field(default_factory=dict)
    in_slots: list[Waiting] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)

    def take_next(self, limit: int, now_ms: int) -> int | None:
        at_video = Counter(task.video for task in self.in_slots)
        going_on = {task.mix_id for task in self.in_slots}
        left = Counter(task.mix_id for task in self.tasks.values())
        for task in self.tasks.values():
            if task.deadline_at_ms is not None and task.deadline_at_ms <= now_ms:
                late = replace(task, video=None, priority=OVERDUE_PRIORITY, not_before_ms=0)
                self.tasks[task.order] = replace(late, deadline_at_ms=None)
        startable = [
            task
            for task in self.tasks.values()
            if task.not_before_ms <= now_ms and (task.video is None or at_video[task.video] < limit)
        ]
        best = min(
            startable,
            key=lambda task: (
                -task.priority,
                left[task.mix_id] if task.mix_id in going_on else 0,
                self.last_turn(task.mix_id),
                task.order,
            ),
            default=None,
        )
        if best is None:
            return None
        self.in_slots.append(self.tasks.pop(best.order))
        self.turns.append(best.mix_id)
        return best.order

    def last_turn(self, mix_id: str) -> int:
        return max((turn for turn, of in enumerate(self.turns, 1) if of == mix_id), default=0)

    def forget_ended_mixes(self) -> None:
        known = {task.mix_id for task in (*self.tasks.values(), *self.in_slots)}
        self.turns = [mix_id if mix_id in known else "" for mix_id in self.turns]


class QueueFollowsItsRules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue, self.plain = Queue(), Plain()
        self.taken: list[Waiting] = []
        self.now = self.delivered = 0

    @rule(
        mix_id=st.sampled_from("abc"),
        video=st.sampled_from(["x", "y", "z", None]),
        priority=st.sampled_from([0, 5, 5, 9]),
        due=st.sampled_from([0, 0, 3, 10]),
        deadline=st.sampled_from([None, None, 5, 12]),
    )
    def add(self, mix_id: str, video: str | None, priority: int, due: int, deadline: int | None) -> None:
        self.delivered += 1
        task = Waiting(self.delivered, mix_id, video, priority, due, deadline)
        self.queue.add(task)
        self.plain.tasks[task.order] = task

    @rule(limit=st.integers(1, 3))
    def take_next(self, limit: int) -> None:
        task = self.queue.take_next(per_video_limit=limit, now_ms=self.now)
        assert (task.order if task else None) == self.plain.take_next(limit, self.now)
        if task:
            self.taken.append(task)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        task = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self.queue.release(task)
        self.plain.in_slots.remove(task)
        self.plain.forget_ended_mixes()

    @precondition(lambda self: self.plain.tasks)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(sorted(self.plain.tasks)))
        self.queue.remove(order)
        del self.plain.tasks[order]
        self.plain.forget_ended_mixes()

    @rule(step=st.integers(1, 4))
    def let_time_pass(self, step: int) -> None:
        self.now += step

    @invariant()
    def as_many_wait(self) -> None:
        assert len(self.queue) == len(self.plain.tasks)


TestQueueFollowsItsRules = QueueFollowsItsRules.TestCase


def simulate(mixes: dict[str, list[int]], slots: int) -> dict[str, int]:
    """When each mix ends, delivered one by one while the slots are full; a mix is its cuts' durations."""
    queue, order, duration = Queue(), 0, {}
    ends: dict[str, int] = {}
    running: list[tuple[int, int, Waiting]] = []
    now = 0

    def fill_slots() -> None:
        while len(running) < slots and (task := queue.take_next(per_video_limit=2, now_ms=now)):
            heapq.heappush(running, (now + duration[task.order], task.order, task))

    for mix_id, durations in mixes.items():
        for each in durations:
            order += 1
            duration[order] = each
            queue.add(waiting(order, mix_id, f"{mix_id}-{order}"))
        fill_slots()
    while running:
        now, _, ended = heapq.heappop(running)
        queue.release(ended)
        ends[ended.mix_id] = now
        fill_slots()
    return ends


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 8, 16, 64])
def test_a_short_mix_behind_a_long_one_ends_within_three_times_its_lone_time(slots: int) -> None:
    small = [900, 1100, 1000, 1000, 950]
    alone = simulate({"small": small}, slots)["small"]
    long = [800 + 37 * number % 400 for number in range(1000)]
    assert simulate({"long": long, "small": small}, slots)["small"] <= 3 * alone


@given(
    long=st.lists(st.integers(500, 1500), min_size=100, max_size=200),
    small=st.lists(st.integers(500, 1500), min_size=1, max_size=8),
    slots=st.integers(1, 8),
)
def test_no_slot_idles_while_something_may_run(long: list[int], small: list[int], slots: int) -> None:
    ends = simulate({"long": long, "small": small}, slots)
    work = sum(long) + sum(small)
    assert work / slots <= max(ends.values()) <= work / slots + 1500
