from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.schedule import Waiting, next_due_ms, next_tasks


def waiting(order: int, mix_id: str = "m", video: str = "v", priority: int = 5, due: int = 0) -> Waiting:
    return Waiting(order, mix_id, video, priority, due)


def start(tasks: list[Waiting], *running: Waiting, slots: int = 4, limit: int = 4, now: int = 0) -> list[int]:
    chosen = next_tasks(tasks, running, free_slots=slots, per_video_limit=limit, now_ms=now)
    return [task.order for task in chosen]


def test_tasks_start_in_the_order_of_delivery() -> None:
    assert start([waiting(3), waiting(1), waiting(2)], slots=2) == [1, 2]


def test_the_urgent_mix_goes_first() -> None:
    assert start([waiting(1), waiting(2, "urgent", priority=9)], slots=1) == [2]


def test_a_short_mix_is_not_starved_by_a_long_one() -> None:
    long = [waiting(order, "long", f"v{order}") for order in range(100)]
    short = [waiting(1000 + order, "short", f"w{order}") for order in range(5)]
    assert Counter(order >= 1000 for order in start([*long, *short])) == {False: 2, True: 2}


def test_a_video_at_its_limit_leaves_its_slots_to_others() -> None:
    tasks = [waiting(1, video="hot"), waiting(2, video="hot"), waiting(3, video="cold")]
    assert start(tasks, waiting(0, video="hot"), limit=2) == [1, 3]


def test_a_retry_waits_for_its_time() -> None:
    tasks = [waiting(1, due=500), waiting(2)]
    assert start(tasks, now=499) == [2]
    assert start(tasks, now=500) == [1, 2]
    assert next_due_ms(tasks, 499) == 500
    assert next_due_ms(tasks, 500) is None


tasks_strategy = st.lists(
    st.builds(
        Waiting,
        order=st.integers(0, 10**6),
        mix_id=st.sampled_from("abc"),
        video=st.sampled_from("xyz"),
        priority=st.integers(0, 9),
        not_before_ms=st.integers(0, 10),
    ),
    max_size=30,
    unique_by=lambda task: task.order,
)


@given(tasks=tasks_strategy, slots=st.integers(0, 8), limit=st.integers(1, 4), now=st.integers(0, 10))
def test_limits_hold_and_no_slot_idles_while_something_may_run(
    tasks: list[Waiting], slots: int, limit: int, now: int
) -> None:
    chosen = next_tasks(tasks, (), free_slots=slots, per_video_limit=limit, now_ms=now)
    videos = Counter(task.video for task in chosen)
    assert len(chosen) == len(set(chosen)) <= slots
    assert all(count <= limit for count in videos.values())
    assert all(task.not_before_ms <= now for task in chosen)
    if len(chosen) < slots:
        left = set(tasks) - set(chosen)
        assert all(task.not_before_ms > now or videos[task.video] == limit for task in left)
