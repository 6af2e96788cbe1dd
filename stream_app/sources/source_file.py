"""What a source is once it is here: a local file, and what must be known of it to cut the right frames."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from stream_app.domain.frames import SECOND_MS

ByteSpan = tuple[int, int]
"""Bytes `[start, stop)` of a file."""


@dataclass(frozen=True)
class Need:
    """What a line needs of a source.

    Attributes:
        start_ms: where the cut starts, on the source's clock.
        frames: the line's own output frames.
        extend_frames: output frames after them; the source shows what it has.
        rate: output frames a second.
    """

    start_ms: int
    frames: int
    extend_frames: int
    rate: Fraction

    @property
    def end_ms(self) -> Fraction:
        """Where the cut ends, extension included, on the source's clock."""
        return self.start_ms + (self.frames + self.extend_frames) * SECOND_MS / self.rate


@dataclass(frozen=True)
class SourceFile:
    """A local file that stands for a source, or for the part of it that is needed.

    Attributes:
        path: a regular file, already resolved and allowed.
        identity: names the content, for a source that was fetched (ETag, Last-Modified and size, or a hash);
            None for a local source, which is known by its own size and time of change.
        starts_at: when the first frame of `path` is shown on the source's clock, in seconds: above 0 for
            a part of a stream that does not begin at the stream's beginning.
        present: the bytes of `path` that are there, sorted, when not all are: the rest reads as zeros.
    """

    path: Path
    identity: str | None = None
    starts_at: Fraction = Fraction(0)
    present: tuple[ByteSpan, ...] | None = None


@dataclass(frozen=True)
class Times:
    """When the video of a file is shown, on the file's own clock.

    Attributes:
        first: smallest presentation time, in units of `time_base`.
        end: when the last frame ends.
        time_base: seconds a unit.
        key: smallest presentation time of a frame that can be decoded without what comes before the file
            (a keyframe); `end` when there is none, None when nobody looked.
    """

    first: int
    end: int
    time_base: Fraction
    key: int | None = None


class Prober(Protocol):
    """Looks into files of strangers, in a process that may crash."""

    async def locate(self, file: SourceFile, need: Need) -> tuple[ByteSpan, ...] | None:
        """Which bytes of `file` the need takes, given the part of it that is there: its index.

        Returns None when the file's index does not tell; then the whole file is needed.

        Raises:
            SourceError: `source_invalid`; `source_too_short`, when the source does not reach so far.
        """

    async def measure(self, path: Path) -> Times:
        """The times of the first video stream of `path`.

        Raises:
            SourceError: `source_invalid`.
        """
