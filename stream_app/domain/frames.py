"""Milliseconds to frames, on exact rationals: the picture never drifts from the song."""

from fractions import Fraction

SECOND_MS = 1000


def round_half_up(value: Fraction) -> int:
    """The nearest integer; a half goes up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def frame_at(ms: int, rate: Fraction) -> int:
    """The frame boundary nearest to `ms` on a clock of `rate` frames a second."""
    return round_half_up(Fraction(ms) * rate / SECOND_MS)


def duration_ms(frames: int, rate: Fraction) -> int:
    """How long `frames` are shown, in ms, half up."""
    return round_half_up(Fraction(frames) * SECOND_MS / rate)
