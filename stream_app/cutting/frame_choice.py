"""Which source frame each output frame shows, decided on integers before anything is decoded.

Contract: output frame k shows the source frame on display at `start_ms + k/fps`, give or take half an
output frame, with one phase for the whole clip. So a phase may be chosen, and it is chosen in the middle of
the source's frames: containers round their clocks (Matroska to whole milliseconds), and a moment that is
looked up right beside the change from one frame to the next would show one frame twice and drop its
neighbour.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from stream_app.domain.errors import SourceError
from stream_app.domain.frames import SECOND_MS, round_half_up
from topics.reasons import FallbackReason

PHASE_STEPS = 16
"""How many phases are tried, from the middle of a frame down to the very moment asked for."""


@dataclass(frozen=True)
class FrameChoice:
    """The pts to show, one for each output frame (own, then extension), and the black frames after."""

    pts: tuple[int, ...]
    black: int


@dataclass(frozen=True)
class SourceClock:
    """When each frame of a source is shown.

    Attributes:
        pts: presentation times of all frames, sorted, each once, in units of `time_base`.
        end: when the last frame ends.
        time_base: seconds a unit.
        starts_at: when the first frame is shown on the source's clock, in seconds: 0 but for a part of a
            source.
    """

    pts: Sequence[int]
    end: int
    time_base: Fraction
    starts_at: Fraction = Fraction(0)

    @property
    def rate(self) -> Fraction:
        """Average frames a second."""
        return Fraction(len(self.pts)) / ((self.end - self.pts[0]) * self.time_base)

    def ms(self, pts: int) -> int:
        """A presentation time on the source's clock, in ms, half up."""
        return round_half_up(((pts - self.pts[0]) * self.time_base + self.starts_at) * SECOND_MS)


def choose_frames(clock: SourceClock, start_ms: int, own: int, extension: int, rate: Fraction) -> FrameChoice:
    """Choose the source frames of a clip of `own + extension` frames at `rate` frames a second.

    Raises:
        SourceError: `source_too_short`, when the source ends more than half an output frame before its `own`
            frames do. An extension takes what there is; the rest is black.
    """
    grid = _Grid.of(clock, start_ms, rate)
    available = grid.frames_until_end()
    if available < own or grid.start < 0:
        raise SourceError(
            FallbackReason.SOURCE_TOO_SHORT,
            f"{own} frames at {rate} fps from {start_ms} ms need more than the source has: it ends at"
            f" {clock.ms(clock.end)} ms; choose an earlier start_ms",
            stage="choose",
        )
    shown = min(own + extension, available)
    return FrameChoice(grid.choose(shown), own + extension - shown)


@dataclass(frozen=True)
class _Grid:
    """The output's frame grid laid over the source's clock, all in whole units that divide both."""

    pts: Sequence[int]
    unit: int
    """Units of one tick of the source's clock."""
    start: int
    interval: int
    """Of the output; even, so that it has a half."""
    end: int
    middle: int
    """Half a frame of the source or of the output, whichever is shorter: the phase that is tried first."""
    margin: int
    """How far a moment should be from the change of a frame: a clock rounded to ms is off by half of it."""

    @classmethod
    def of(cls, clock: SourceClock, start_ms: int, rate: Fraction) -> "_Grid":
        divisors = (clock.time_base.denominator, clock.starts_at.denominator, SECOND_MS, 2 * rate.numerator)
        second = lcm(*divisors) * PHASE_STEPS
        unit = second // clock.time_base.denominator * clock.time_base.numerator
        interval = second // rate.numerator * rate.denominator
        end = (clock.end - clock.pts[0]) * unit
        return cls(
            pts=clock.pts,
            unit=unit,
            start=start_ms * (second // SECOND_MS) - int(clock.starts_at * second),
            interval=interval,
            end=end,
            middle=min(interval, end // len(clock.pts)) // 2,
            margin=second // SECOND_MS,
        )

    def frames_until_end(self) -> int:
        """How many output frames have at least half of their time before the source's end."""
        return max(0, (self.end - self.start + self.interval // 2) // self.interval)

    def choose(self, frames: int) -> tuple[int, ...]:
        """The pts shown at each frame, by the phase nearest to the middle that keeps clear of all changes."""
        best, best_distance = 0, -1
        for step in range(PHASE_STEPS, -1, -1):
            phase = self.middle * step // PHASE_STEPS
            distance = self._distance_to_change(phase, frames)
            if distance > best_distance:
                best, best_distance = phase, distance
            if distance >= self.margin:
                break
        return tuple(self.pts[self._position(best, k)] for k in range(frames))

    def _position(self, phase: int, k: int) -> int:
        """The index of the frame on display at output frame `k`."""
        moment = self.start + phase + k * self.interval
        return bisect_right(self.pts, self.pts[0] + moment // self.unit) - 1

    def _distance_to_change(self, phase: int, frames: int) -> int:
        """The shortest way from any moment to a change of frame; beyond the margin it does not matter."""
        shortest = self.margin
        zero = self.pts[0]
        for k in range(frames):
            moment = self.start + phase + k * self.interval
            position = bisect_right(self.pts, zero + moment // self.unit) - 1
            if position > 0:
                shortest = min(shortest, moment - (self.pts[position] - zero) * self.unit)
            if position + 1 < len(self.pts):
                shortest = min(shortest, (self.pts[position + 1] - zero) * self.unit - moment)
        return shortest
