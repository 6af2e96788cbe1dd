"""A number burnt into each frame, that a program reads back after cutting, scaling and encoding.

A row of 32 black or white blocks tells which source the frame is of and which frame of it:

| blocks | say |
|---|---|
| 0-7 | the number of the source, highest bit first (white is 1) |
| 8-23 | the number of the frame, from 0 |
| 24-31 | the last byte of the CRC-32 of the three bytes before |

The row lies in the largest centred 16:9 part of the source's frame: from 2 % to 98 % of that part's width and
from 3 % to 9 % of its height. So it is at the same place in every 16:9 picture cropped from any source.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av

BLOCKS = 32
BLACK, WHITE = 16, 235
DARKEST_WHITE, LIGHTEST_BLACK = 160, 90
"""Luma between these two is no block but some other picture."""

MAX_SOURCE, MAX_FRAME = (1 << 8) - 1, (1 << 16) - 1
LUMA_FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "gray")

Size = tuple[int, int]
"""Width and height in pixels."""


class StampError(ValueError):
    """The picture carries no legible stamp there: black, a filler, other footage, or another framing."""


@dataclass(frozen=True)
class Origin:
    """Where a frame comes from: the number of the source in `SAMPLES`, and of its frame from 0."""

    source: int
    frame: int


@dataclass(frozen=True)
class Area:
    """The part of a picture in which the stamp is placed, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def columns(self) -> list[int]:
        """The 33 edges of the 32 blocks, from left to right."""
        step = Fraction(self.width * 96, 100 * BLOCKS)
        start = self.left + Fraction(self.width * 2, 100)
        return [round(start + step * edge) for edge in range(BLOCKS + 1)]

    def rows(self) -> range:
        """The rows that the blocks cover."""
        return range(self.top + self.height * 3 // 100, self.top + self.height * 9 // 100)


def centre_area(size: Size) -> Area:
    """The largest centred 16:9 part of a picture of that size."""
    width, height = size
    area_width, area_height = min(width, height * 16 // 9), min(height, width * 9 // 16)
    return Area((width - area_width) // 2, (height - area_height) // 2, area_width, area_height)


def shown_area(source: Size, picture: Size, fit: Literal["crop", "pad", "blur", "stretch"]) -> Area:
    """Where the 16:9 part of a source lies in a picture made from it under `fit`; maybe beyond the edges."""
    scale_x, scale_y = Fraction(picture[0], source[0]), Fraction(picture[1], source[1])
    if fit != "stretch":
        scale_x = scale_y = max(scale_x, scale_y) if fit == "crop" else min(scale_x, scale_y)
    area = centre_area(source)
    return Area(
        left=round((picture[0] - source[0] * scale_x) / 2 + area.left * scale_x),
        top=round((picture[1] - source[1] * scale_y) / 2 + area.top * scale_y),
        width=round(area.width * scale_x),
        height=round(area.height * scale_y),
    )


def stamp_row(origin: Origin, area: Area) -> bytes:
    """One row of luma from the first edge to the last; the stamp is this row in each of `area.rows()`.

    Raises:
        ValueError: a number is too large for its blocks.
    """
    if not (0 <= origin.source <= MAX_SOURCE and 0 <= origin.frame <= MAX_FRAME):
        raise ValueError(f"{origin} does not fit: a source is at most {MAX_SOURCE}, a frame {MAX_FRAME}")
    payload = origin.source << 16 | origin.frame
    code = payload << 8 | _check(payload)
    edges = area.columns()
    return b"".join(
        bytes([WHITE if code >> (BLOCKS - 1 - block) & 1 else BLACK]) * (edges[block + 1] - edges[block])
        for block in range(BLOCKS)
    )


def read_stamp(frame: av.VideoFrame, area: Area | None = None) -> int:
    """The number burnt into a decoded frame, counted from 0 in its source; see `read_origin`."""
    return read_origin(frame, area).frame


def read_origin(frame: av.VideoFrame, area: Area | None = None) -> Origin:
    """The source and the number burnt into a decoded frame of any size.

    Args:
        frame: as PyAV decodes it; formats without a plane of 8-bit luma are converted.
        area: where the 16:9 part of the source is shown; without it the centre of the frame, which is
            right for the source itself and for 16:9 pictures made with `fit: crop`. Else ask `shown_area`.

    Raises:
        StampError: there is no stamp, or not all of it.
    """
    if frame.format.name not in LUMA_FORMATS:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    return read_luma(bytes(plane), plane.line_size, (frame.width, frame.height), area)


def read_luma(luma: bytes, stride: int, size: Size, area: Area | None = None) -> Origin:
    """As `read_origin`, from a plane of 8-bit luma whose rows are `stride` bytes apart.

    Raises:
        StampError: there is no stamp, or not all of it.
    """
    area = area or centre_area(size)
    edges, rows = area.columns(), area.rows()
    if edges[0] < 0 or edges[-1] > size[0] or rows.start < 0 or rows.stop > size[1]:
        raise StampError(f"the stamp, {area}, reaches beyond the picture of {size[0]}x{size[1]}")
    inner = rows[len(rows) // 4 : max(len(rows) * 3 // 4, len(rows) // 4 + 1)]
    if not inner or edges[1] - edges[0] < 2:  # noqa: PLR2004 - one pixel a block is its edges only
        raise StampError(f"a picture of {size[0]}x{size[1]} is too small to read a stamp from")
    code = 0
    for block in range(BLOCKS):
        code = code << 1 | _bit(luma, stride, inner, edges[block : block + 2], block)
    payload, check = code >> 8, code & 0xFF
    if check != _check(payload):
        raise StampError(f"the blocks read {code:#010x}, whose check byte is wrong: this is no stamp")
    return Origin(source=payload >> 16, frame=payload & MAX_FRAME)


def _check(payload: int) -> int:
    return zlib.crc32(payload.to_bytes(3, "big")) & 0xFF


def _bit(luma: bytes, stride: int, rows: Sequence[int], edges: list[int], block: int) -> int:
    left, right = edges
    margin = (right - left) // 4  # the edges of a block are blurred by scaling and encoding
    left, right = left + margin, right - margin
    mean = sum(sum(luma[row * stride + left : row * stride + right]) for row in rows) // (
        len(rows) * (right - left)
    )
    if LIGHTEST_BLACK < mean < DARKEST_WHITE:
        raise StampError(f"block {block} is grey (luma {mean}): there is no stamp at this place")
    return int(mean >= DARKEST_WHITE)
