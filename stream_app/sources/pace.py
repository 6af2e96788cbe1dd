"""When a server is too slow to wait for."""

import math

PATIENCE_S = 5.0
"""Seconds that a server may be behind: longer than a lost packet or a full queue takes to be made good."""


class Pace:
    """Keeps account of a body: bytes earn patience, waiting uses it up.

    Every `rate` bytes earn a second, up to `patience_s`, so that a good start does not pay for a long hang.
    A body that has stopped is given up after `patience_s`; one that comes at a part `p` of the rate, after
    `patience_s / (1 - p)`.

    Args:
        rate: bytes a second; 0 for no minimum.
        patience_s: seconds that the server may be behind.
    """

    def __init__(self, rate: int, patience_s: float = PATIENCE_S) -> None:
        self._rate = rate
        self._full = patience_s if rate else math.inf
        self.patience_s = self._full
        """Seconds of further silence until the server is too slow; 0 or less: it is."""

    def took(self, seconds: float, size: int) -> None:
        """Note that `size` bytes came after a wait of `seconds`."""
        if self._rate:
            self.patience_s = min(self._full, self.patience_s - seconds + size / self._rate)
