"""The wall clock, as events carry it."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Says the time in ms since 1970-01-01 UTC."""


def now_ms() -> int:
    """The time in ms since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
