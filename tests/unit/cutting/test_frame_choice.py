"""Which source frame each output frame shows."""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.cutting.frame_choice import PHASE_STEPS, SourceClock, choose_frames
from stream_app.domain.errors import SourceError
from topics.reasons import FallbackReason

RATES = [Fraction(r) for r in (10, 24, 25, 30, 48, 50, 60, 120)]
RATES += [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)]
CLOCKS = [Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 15360), Fraction(1001, 30000)]

rates = st.sampled_from(RATES)


def constant(rate: Fraction, frames: int, time_base: Fraction, zero: int = 0) -> SourceClock:
    """A source of a constant rate on a clock that rounds each time to `time_base`."""
    pts = [zero + round(k / rate / time_base) for k in range(frames + 1)]
    return SourceClock(pts[:-1], pts[-1], time_base)


def numbers(clock: SourceClock, start_ms: int, own: int, rate: Fraction, extension: int = 0) -> list[int]:
    return [list(clock.pts).index(p) for p in choose_frames(clock, start_ms, own, extension, rate).pts]


@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000)])
@pytest.mark.parametrize("rate", RATES)
def test_same_rate_shows_each_frame_once_from_any_start(rate: Fraction, time_base: Fraction) -> None:
    clock = constant(rate, 400, time_base, zero=77)
    for start_ms in range(0, 1000, 7):
        shown = numbers(clock, start_ms, 90, rate)
        assert shown == list(range(shown[0], shown[0] + 90))
        early = Fraction(start_ms, 1000) - shown[0] / rate
        half, rounding = 1 / (2 * rate), Fraction(1, 1000)
        # The nearest frame; of two that are about as near, either.
        assert abs(early) <= half + half / PHASE_STEPS + 2 * rounding


def test_a_start_on_a_frame_shows_that_frame_first_though_its_time_was_rounded() -> None:
    clock = constant(Fraction(30000, 1001), 300, Fraction(1, 1000))
    for number in range(200):
        assert numbers(clock, round(number * Fraction(1001, 30)), 30, Fraction(30000, 1001))[0] == number


def test_double_rate_shows_every_other_frame_evenly() -> None:
    clock = constant(Fraction(60), 400, Fraction(1, 1000))
    for start_ms in range(0, 500, 3):
        shown = numbers(clock, start_ms, 90, Fraction(30))
        assert {b - a for a, b in pairwise(shown)} == {2}


def test_a_third_of_the_rate_shows_every_frame_three_times() -> None:
    clock = constant(Fraction(10), 100, Fraction(1, 1000))
    assert numbers(clock, 1000, 9, Fraction(30)) == [10, 10, 10, 11, 11, 11, 12, 12, 12]


@settings(max_examples=300)
@given(
    steps=st.lists(st.integers(1, 400), min_size=2, max_size=120),
    time_base=st.sampled_from(CLOCKS),
    zero=st.integers(-1000, 10_000),
    start_ms=st.integers(0, 3000),
    own=st.integers(1, 60),
    extension=st.integers(0, 30),
    rate=rates,
)
def test_one_phase_within_half_a_frame_explains_all_that_is_shown(
    *,
    steps: list[int],
    time_base: Fraction,
    zero: int,
    start_ms: int,
    own: int,
    extension: int,
    rate: Fraction,
) -> None:
    pts = [zero]
    for step in steps:
        pts.append(pts[-1] + step)
    clock = SourceClock(pts[:-1], pts[-1], time_base)
    end = (clock.end - zero) * time_base
    ends_in_time = Fraction(start_ms, 1000) + Fraction(2 * own - 1, 2) / rate <= end
    if not ends_in_time:
        with pytest.raises(SourceError) as caught:
            choose_frames(clock, start_ms, own, extension, rate)
        assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT
        return
    choice = choose_frames(clock, start_ms, own, extension, rate)
    assert len(choice.pts) + choice.black == own + extension
    assert len(choice.pts) >= own
    low, high = -1 / (2 * rate), 1 / (2 * rate)
    for k, shown in enumerate(choice.pts):
        moment = Fraction(start_ms, 1000) + k / rate
        position = bisect_right(clock.pts, shown) - 1
        low = max(low, (clock.pts[position] - zero) * time_base - moment)
        if position + 1 < len(clock.pts):
            high = min(high, (clock.pts[position + 1] - zero) * time_base - moment)
    assert low <= high


def test_an_extension_takes_what_there_is_and_the_rest_is_black() -> None:
    clock = constant(Fraction(30), 100, Fraction(1, 15360))
    choice = choose_frames(clock, 2000, 30, 60, Fraction(30))
    assert len(choice.pts) == 40
    assert choice.black == 50


@pytest.mark.parametrize(("start_ms", "fits"), [(0, True), (10, True), (16, True), (17, False), (34, False)])
def test_the_lines_own_frames_must_be_there_give_or_take_half_a_frame(start_ms: int, fits: bool) -> None:  # noqa: FBT001
    clock = constant(Fraction(30), 90, Fraction(1, 15360))
    if fits:
        assert len(choose_frames(clock, start_ms, 90, 0, Fraction(30)).pts) == 90
    else:
        with pytest.raises(SourceError, match="ends at 3000 ms"):
            choose_frames(clock, start_ms, 90, 0, Fraction(30))


def test_a_hole_in_a_variable_rate_holds_the_frame_before_it() -> None:
    clock = SourceClock([0, 33, 66, 500, 533], 566, Fraction(1, 1000))
    assert numbers(clock, 0, 15, Fraction(30)) == [0, 1] + [2] * 13


def test_ms_counts_from_the_first_frame_half_up() -> None:
    clock = SourceClock([900, 945], 1000, Fraction(1, 90000))
    assert (clock.ms(900), clock.ms(945)) == (0, 1)
