"""Where a Matroska file (WebM too) does not add up: bytes are missing there, or others lie in their place.

Every element says its name and its length (RFC 8794), so that one must begin where another ends. FFmpeg looks
for the next thing that it knows where that does not hold, and says nothing.
"""

import mmap
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from stream_app.sources.source_file import ByteSpan

MATROSKA = "matroska,webm"
"""FFmpeg's name for the format."""

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
_ENTERED = frozenset({SEGMENT, CLUSTER})
_PASSED = frozenset(
    {
        *(0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B),  # EBML, SeekHead, Info, Tracks
        *(0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367),  # Cues, Attachments, Chapters, Tags
        *(0xA3, 0xA0, 0xAF),  # SimpleBlock, BlockGroup, EncryptedBlock
        *(0xE7, 0x5854, 0xA7, 0xAB),  # Timestamp, SilentTracks, Position, PrevSize
        *(0xEC, 0xBF),  # Void, CRC-32
    }
)
"""The names that RFC 9559 knows of the file, in a segment and in a cluster."""

MAX_NAME, MAX_LENGTH = 4, 8
"""Bytes of a name, and of a length."""

DOUBTED = 3
"""So many elements before the place where it shows may be wrong: one byte in 32 is a name by accident."""


def losses(path: Path, positions: Sequence[int]) -> list[int]:
    """Numbers of packets before which something was lost, of those that lie at `positions`, sorted."""
    found: list[int] = []
    for start, stop in unsound(path):
        after = bisect_left(positions, stop)
        found += range(bisect_left(positions, start), min(after + 1, len(positions)))
    return found


def unsound(path: Path) -> list[ByteSpan]:
    """Spans of bytes, sorted and apart, in which blocks may be others than they say."""
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return list(_unsound(data))


def _unsound(data: mmap.mmap) -> Iterator[ByteSpan]:
    position, end = 0, len(data)
    before: deque[int] = deque(maxlen=DOUBTED)
    while position < end:
        after = _after(data, position)
        if after is not None and after <= len(data):
            before.append(position)
            position = after
            continue
        found = data.find(CLUSTER.to_bytes(MAX_NAME, "big"), position + 1)
        resumed = end if found == -1 else found
        yield (before[0] if before else position), resumed
        position = resumed
        before.clear()


def _after(data: mmap.mmap, position: int) -> int | None:
    """Where the next element is to begin; None when none that is known lies at `position`."""
    name_size = _size(data[position], MAX_NAME)
    name = int.from_bytes(data[position : position + name_size], "big")
    at = position + name_size
    if not (name in _ENTERED or name in _PASSED) or at >= len(data):
        return None
    length_size = _size(data[at], MAX_LENGTH)
    start = at + length_size
    if name in _ENTERED:
        return start if length_size else None
    ones = (1 << 7 * length_size) - 1
    length = int.from_bytes(data[at:start], "big") & ones
    return start + length if length_size and length != ones else None


def _size(first: int, most: int) -> int:
    """Bytes of a number that begins with the byte `first`; 0 for one of more than `most`."""
    size = 9 - first.bit_length()
    return size if size <= most else 0
