import math

from hypothesis import given
from hypothesis import strategies as st

from stream_app.sources.pace import Pace

RATE, PATIENCE_S = 1000, 5.0


def too_slow_after(share: float) -> float:
    """Seconds until a body at `share` of the rate, in pieces of a tenth of a second, is given up."""
    pace = Pace(RATE, PATIENCE_S)
    for step in range(10_000):
        if pace.patience_s <= 0:
            return step / 10
        pace.took(0.1, int(share * RATE / 10))
    return math.inf


def test_silence_is_given_up_when_the_patience_is_over() -> None:
    assert abs(too_slow_after(0) - PATIENCE_S) < 0.2


def test_the_slower_the_sooner() -> None:
    assert abs(too_slow_after(0.5) - 2 * PATIENCE_S) < 0.3
    assert abs(too_slow_after(0.9) - 10 * PATIENCE_S) < 1


def test_a_good_start_does_not_pay_for_a_long_hang() -> None:
    pace = Pace(RATE, PATIENCE_S)
    pace.took(0.01, 10**9)
    assert pace.patience_s == PATIENCE_S


def test_no_minimum_is_endless_patience() -> None:
    pace = Pace(0, PATIENCE_S)
    pace.took(1e6, 0)
    assert pace.patience_s == math.inf


@given(st.lists(st.floats(0.001, PATIENCE_S * 0.9), max_size=50))
def test_who_keeps_the_rate_is_never_given_up(waits: list[float]) -> None:
    pace = Pace(RATE, PATIENCE_S)
    for wait in waits:
        assert wait < pace.patience_s
        pace.took(wait, math.ceil(wait * RATE))
