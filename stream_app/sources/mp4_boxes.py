"""Where the index of an mp4 or mov file is: a walk over the heads of its outermost boxes, nothing deeper."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stream_app.sources.source_file import ByteSpan

MAX_BOXES = 64
"""Files have 3 to 10. More than this is no film, and each may cost a request."""

MAX_INDEX_BYTES = 256 * 2**20
"""About 20 hours of 60 fps video with sound, at some 60 bytes a frame in the worst layouts."""

_HEAD = 16
"""Bytes of a box's head at most: size, type, and the size again in 64 bits when it does not fit in 32."""

_STARTS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_FRAGMENTS = frozenset({b"moof", b"sidx", b"styp"})

Read = Callable[[ByteSpan], Awaitable[bytes]]
"""Reads bytes of a file that need not be here yet."""


@dataclass(frozen=True)
class Box:
    """An outermost box: its type and its bytes, head included."""

    kind: bytes
    start: int
    stop: int


def box_at(head: bytes, start: int, size: int) -> Box | None:
    """The box whose first 16 bytes (fewer at the end of the file) are `head`.

    Args:
        head: the bytes.
        start: where they are in the file.
        size: of the file; a box of size 0 reaches to its end.

    Returns:
        None for what cannot be a box, or not one of which all is in the file.
    """
    length, least = int.from_bytes(head[:4], "big"), 8
    if length == 1:
        length, least = int.from_bytes(head[8:16], "big"), 16
    elif length == 0:
        length = size - start
    if len(head) < least or length < least or start + length > size:
        return None
    return Box(head[4:8], start, start + length)


async def find_index(read: Read, size: int) -> ByteSpan | None:
    """The bytes of the `moov` box of a file of `size` bytes.

    Returns:
        None when there is no single index of the whole file: it is another kind of file, a fragmented or a
        damaged one, or the index is unreasonably large.
    """
    index: ByteSpan | None = None
    at = 0
    for _ in range(MAX_BOXES):
        box = box_at(await read((at, min(at + _HEAD, size))), at, size)
        if box is None or box.kind in _FRAGMENTS or (at == 0 and box.kind not in _STARTS):
            return None
        if box.kind == b"moov":
            if index is not None or box.stop - box.start > MAX_INDEX_BYTES:
                return None
            index = (box.start, box.stop)
        at = box.stop
        if at == size:
            return index
    return None
