"""The replay of past schedules: it tells the past as it was, and follows other limits as workers would."""

from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.what_if import Limits, Outcome, PastMix, Tried, replay

START = 1_800_000_000_000


def past(
    durations: list[int], slots: int, *, videos: int = 100, mix_id: str = "m", handover_ms: int = 0
) -> PastMix:
    """A mix whose lines were cut in order in so many slots, with 50 ms before and 300 ms of joining after."""
    free = [START + 50] * slots
    tried = []
    for number, duration in enumerate(durations):
        slot = free.index(min(free))
        tried.append(Tried(f"line-{number}", f"v{number % videos}", "w1", free[slot], free[slot] + duration))
        free[slot] += duration + handover_ms
    ended_at_ms = max(each.finished_at_ms for each in tried)
    return PastMix(mix_id, START, ended_at_ms + 300, tuple(tried), handover_ms=handover_ms)


DURATIONS = st.lists(st.integers(1, 2000), min_size=1, max_size=40)


@given(durations=DURATIONS, slots=st.integers(1, 8), handover_ms=st.integers(0, 50))
def test_under_what_was_in_force_it_is_as_it_was(durations: list[int], slots: int, handover_ms: int) -> None:
    mix = past(durations, slots, handover_ms=handover_ms)
    outcome = replay([mix], Limits(slots, per_video_limit=64))["m"]
    assert outcome == Outcome(mix.wall_ms, min(slots, len(durations)))


@given(durations=DURATIONS, slots=st.integers(1, 8))
def test_with_a_slot_for_each_it_takes_as_long_as_the_longest(durations: list[int], slots: int) -> None:
    outcome = replay([past(durations, slots)], Limits(64, per_video_limit=64))["m"]
    assert outcome == Outcome(50 + max(durations) + 300, len(durations))


@given(durations=DURATIONS, limit=st.integers(1, 3))
def test_a_video_is_never_cut_more_often_at_a_time_than_it_may(durations: list[int], limit: int) -> None:
    mix = past(durations, 4, videos=1)
    outcome = replay([mix], Limits(64, per_video_limit=limit))["m"]
    assert outcome.peak_parallelism == min(limit, len(durations))
    assert outcome.wall_ms >= 350 + sum(durations) // limit


def test_a_retry_waits_and_its_line_with_it() -> None:
    first = Tried("a", "v", "w1", START, START + 100)
    again = Tried("a", "v", "w1", START + 600, START + 700, waited_ms=500)
    other = Tried("b", "u", "w1", START + 100, START + 300)
    mix = PastMix("m", START, START + 750, (again, other, first))
    assert replay([mix], Limits(1, 2))["m"] == Outcome(750, 1)
    assert replay([mix], Limits(2, 2))["m"] == Outcome(750, 2)


def test_workers_share_videos_and_each_has_its_slots() -> None:
    mix = past([100] * 8, 1, videos=4)
    assert replay([mix], Limits(1, 1, workers=1))["m"].wall_ms == mix.wall_ms
    assert replay([mix], Limits(1, 1, workers=4))["m"] == Outcome(50 + 200 + 300, 4)


def test_a_short_mix_gains_when_there_is_room_beside_a_long_one() -> None:
    long, short = past([1000] * 30, 2, mix_id="long"), past([1000] * 2, 1, mix_id="short")
    narrow, wide = (replay([long, short], Limits(slots, 64))["short"].wall_ms for slots in (1, 3))
    assert wide < narrow


def test_a_mix_without_attempts_is_left_as_it_was() -> None:
    assert replay([PastMix("m", START, START + 70, ())], Limits(4, 2)) == {"m": Outcome(70, 0)}
