"""The pictures of the load's sources tell which source and which frame they are."""

from fractions import Fraction

import av

FINE, STEP, DARKEST, COARSE_STEP = 32, 5, 40, 3
BLUE, BLUE_STEP = 88, 40

Stamp = tuple[float, float, float]
"""Luma in the middle of the left and of the right half, and blue: the frame's number and the source's."""

TOLERANCES = (2.4, 1.4, 15)
"""Just below half of what lies between two neighbours, but for the colour."""


def read_stamp(frame: av.VideoFrame) -> Stamp:
    luma, blue, _ = frame.planes
    return (
        _level(luma, frame.width // 4, frame.height // 2),
        _level(luma, frame.width * 3 // 4, frame.height // 2),
        _level(blue, frame.width // 4, frame.height // 4),
    )


def shows(seen: Stamp, video_id: str, moment: Fraction, rate: Fraction, source_fps: Fraction) -> bool:
    """Whether it is the source at that moment, give or take half an output frame."""
    source = int(video_id.rpartition("-")[2])
    frames = {int((moment + shift / rate) * source_fps) for shift in (-Fraction(1, 2), 0, Fraction(1, 2))}
    return any(_is_near(seen, _stamp(source, frame)) for frame in frames)


def _stamp(source: int, frame: int) -> Stamp:
    coarse, fine = divmod(frame, FINE)
    return DARKEST + STEP * fine, DARKEST + COARSE_STEP * coarse, BLUE + BLUE_STEP * source


def _is_near(seen: Stamp, expected: Stamp) -> bool:
    return all(abs(a - b) <= most for a, b, most in zip(seen, expected, TOLERANCES, strict=True))


def _level(plane: av.video.plane.VideoPlane, x: int, y: int) -> float:
    """The mean of a few samples in a row."""
    start = y * plane.line_size + x - 4
    some = bytes(plane)[start : start + 8]
    return sum(some) / len(some)
