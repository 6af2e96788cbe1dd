"""Where a source's data are broken, as its container tells while it is read through.

A demuxer that meets garbage says a word and goes on at the next thing it knows: the frames in between are
gone, and some decoders (VP9, MPEG-2) then show old picture as if nothing were. So every word of a demuxer,
and every packet that it calls corrupt, makes the frames around it unusable until the next keyframe.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import av
import av.logging

REORDER = 16
"""H.264 and HEVC let no more than 16 frames lie between the order of data and the order of display."""


@dataclass(frozen=True, slots=True)
class ReadPacket:
    """A packet of video as it was read: its pts, and whether it starts afresh."""

    pts: int
    is_key: bool


@dataclass(frozen=True)
class Damage:
    """Spans of presentation time `[start, stop)` whose frames may show something else; sorted by start."""

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def around(cls, packets: Sequence[ReadPacket], breaks: Sequence[int]) -> "Damage":
        """The damage of a stream whose data are broken before each packet numbered in `breaks`."""
        spans = (_span(packets, number) for number in sorted(set(breaks)))
        return cls(tuple(sorted(span for span in spans if span is not None)))

    def hits(self, pts: int) -> bool:
        """Whether the frame at `pts` may show something else."""
        return any(start <= pts < stop for start, stop in self.spans[: self._starting_by(pts)])

    def _starting_by(self, pts: int) -> int:
        return bisect_right(self.spans, pts, key=lambda span: span[0])


def _span(packets: Sequence[ReadPacket], number: int) -> tuple[int, int] | None:
    before = [packet.pts for packet in packets[max(0, number - REORDER) : number]]
    after = (packet.pts for packet in packets[number:] if packet.is_key)
    beyond_end = max((packet.pts for packet in packets), default=0) + 1
    stop = next(chain(after, [beyond_end]))
    start = min(before, default=min((packet.pts for packet in packets), default=0))
    return (start, stop) if start < stop else None


@contextmanager
def complaints() -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg says at its level "error" meanwhile, as (level, who, what); the list may be emptied."""
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=True) as said:
            yield said
    finally:
        av.logging.set_level(before[0])
        av.logging.set_skip_repeated(before[1])
