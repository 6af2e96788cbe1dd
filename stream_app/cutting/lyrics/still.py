"""A text as one picture with transparency, cut to its size, so that what lies around it costs nothing."""

from dataclasses import dataclass

import av

GREY = 128
"""The value of both colour planes where there is no colour."""

CLEAR = b"\0"


@dataclass(frozen=True)
class Still:
    """A text without the empty space around it.

    Attributes:
        picture: yuva420p, BT.709 limited, not premultiplied; of even size.
        left: where it belongs in the whole picture, in pixels; even.
        top: the same.
        is_cut_off: whether it reaches the edge of the whole picture, so that some of it may be missing.
    """

    picture: av.VideoFrame
    left: int
    top: int
    is_cut_off: bool

    @classmethod
    def of_pixels(cls, pixels: bytes, width: int) -> "Still | None":
        """What can be seen of a picture of rows of `width` pixels, each of two bytes; None: nothing.

        The first byte is luma in limited range, the second alpha: FFmpeg's `ya8`, without padding.
        """
        alpha = pixels[1::2]
        height = len(alpha) // width
        first, after = len(alpha) - len(alpha.lstrip(CLEAR)), len(alpha.rstrip(CLEAR))
        if first >= after:
            return None
        top, bottom = first // width, (after - 1) // width + 1
        inked = [alpha[row * width : (row + 1) * width] for row in range(top, bottom)]
        left = min(width - len(row.lstrip(CLEAR)) for row in inked)
        right = max(len(row.rstrip(CLEAR)) for row in inked)
        is_cut_off = left == 0 or top == 0 or right == width or bottom == height
        # On even pixels, where the chroma of 4:2:0 can follow.
        left, top, right, bottom = left // 2 * 2, top // 2 * 2, _even(right), _even(bottom)
        starts = [2 * (row * width + left) for row in range(top, bottom)]
        rows = [pixels[start : start + 2 * (right - left)] for start in starts]
        return cls(_picture(rows), left, top, is_cut_off)


def _picture(rows: list[bytes]) -> av.VideoFrame:
    """A picture of rows of luma and alpha in turn."""
    width, height = len(rows[0]) // 2, len(rows)
    picture = av.VideoFrame(width, height, "yuva420p")
    grey = [bytes([GREY]) * (width // 2)] * (height // 2)
    planes = [row[0::2] for row in rows], grey, grey, [row[1::2] for row in rows]
    for plane, values in zip(picture.planes, planes, strict=True):
        plane.update(b"".join(row.ljust(plane.line_size, CLEAR) for row in values))
    return picture


def _even(pixels: int) -> int:
    return pixels + pixels % 2
