"""Where a source's data are broken, as its container tells while it is read through.

A demuxer that meets garbage says a word and goes on at the next thing it knows: the frames in between are
gone, and some decoders (VP9, MPEG-2) then show old picture as if nothing were. So every word of a demuxer,
and every packet that it calls corrupt, makes the frames around it unusable until the next keyframe. Where
demuxers lose frames without a word, the times of the others (`rhythm`) and the container's own structure
(`matroska`, `continuity`) tell. And some decoders make a picture of any bytes; theirs are damaged where a
long run of zeros stands, as the lost part of a download leaves it. What nobody can tell is a few wrong bits
within a frame: VP8, VP9, MPEG-4 and WMV have no checks, and HEVC decodes to another picture now and then.
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

TRUSTING_DECODERS = frozenset({"vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d", "wmv1", "wmv2"})
ZEROS = bytes(64)
"""So many do not come up by themselves: an arithmetic coder gives 512 zero bits in a row once in 2**512."""


Complaint = tuple[int, str, str]
"""Level, who, what."""


@dataclass(frozen=True, slots=True)
class ReadPacket:
    """A packet of video as it was read.

    Attributes:
        pts: when its frame is shown.
        is_key: whether it starts afresh.
        dts: when it is decoded, if that is told.
        duration: how long it lasts in the order of decoding; 0 when that is not told.
        is_hidden: an edit list leaves it out.
    """

    pts: int
    is_key: bool
    dts: int | None = None
    duration: int = 0
    is_hidden: bool = False


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
def complaints() -> Iterator[list[Complaint]]:
    """What FFmpeg says at its level "error" meanwhile; the list may be emptied."""
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=True) as said:
            yield said
    finally:
        av.logging.set_level(before[0])
        av.logging.set_skip_repeated(before[1])
