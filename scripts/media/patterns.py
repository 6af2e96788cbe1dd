"""Moving patterns, one a source, drawn in plain Python fast enough for 1080p.

A small tile is computed once, laid out in long rows, and each row of each frame is a slice of one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, pi, sin

Rgb = tuple[int, int, int]
Colour = Callable[[int, int], Rgb]
"""The colour of the tile's pixel at x, y."""
Motion = Callable[[int, int], tuple[int, int]]
"""By how many pixels right and down of (0, y) frame n looks into the pattern: both even."""


@dataclass(frozen=True)
class Pattern:
    """A tile that repeats for ever, and how one looks at it. Its sizes are even: chroma has half of them."""

    tile_width: int
    tile_height: int
    colour: Colour
    motion: Motion


@dataclass(frozen=True)
class Planes:
    """One 4:2:0 picture: luma and the two planes of chroma, with the distance of their rows in bytes."""

    luma: bytearray
    blue: bytearray
    red: bytearray
    luma_stride: int
    chroma_stride: int


class Canvas:
    """Draws the frames of one pattern at one size."""

    def __init__(self, pattern: Pattern, height: int, luma_stride: int, chroma_stride: int) -> None:
        """Lays out the tile, which takes some 50 ms."""
        self._pattern = pattern
        self._height = height
        self._luma_stride, self._chroma_stride = luma_stride, chroma_stride
        tile = [
            [_yuv(pattern.colour(x, y)) for x in range(pattern.tile_width)]
            for y in range(pattern.tile_height)
        ]
        half = [row[::2] for row in tile[::2]]
        self._luma = [_long_row(bytes(c[0] for c in row), luma_stride) for row in tile]
        self._blue = [_long_row(bytes(c[1] for c in row), chroma_stride) for row in half]
        self._red = [_long_row(bytes(c[2] for c in row), chroma_stride) for row in half]

    def draw(self, frame: int) -> Planes:
        """The picture of that frame, to be written over."""
        luma: list[bytes] = []
        blue: list[bytes] = []
        red: list[bytes] = []
        width, height, motion = self._pattern.tile_width, self._pattern.tile_height, self._pattern.motion
        for y in range(0, self._height, 2):
            right, down = motion(frame, y)
            x, row = right % width, (y + down) % height
            luma += (
                self._luma[row][x : x + self._luma_stride],
                self._luma[row + 1][x : x + self._luma_stride],
            )
            blue.append(self._blue[row // 2][x // 2 : x // 2 + self._chroma_stride])
            red.append(self._red[row // 2][x // 2 : x // 2 + self._chroma_stride])
        join = bytearray().join
        return Planes(join(luma), join(blue), join(red), self._luma_stride, self._chroma_stride)


def _long_row(tile_row: bytes, stride: int) -> bytes:
    return tile_row * (stride // len(tile_row) + 2)


def _yuv(colour: Rgb) -> Rgb:
    """BT.709, limited range, as every sample is tagged."""
    red, green, blue = (part / 255 for part in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (
        round(16 + 219 * luma),
        round(128 + 224 * (blue - luma) / 1.8556),
        round(128 + 224 * (red - luma) / 1.5748),
    )


def _blend(low: Rgb, high: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return red, green, blue


def _wave(position: int, period: int) -> float:
    """From 0 to 1 and back over one period."""
    return (1 - cos(2 * pi * position / period)) / 2


def _even(value: float) -> int:
    return round(value / 2) * 2


def _neon(x: int, y: int) -> Rgb:
    across, along = (exp(-abs(p - 60) / 7) for p in (x, y))
    night = _blend((14, 4, 40), (255, 30, 190), across)
    return _blend(night, (60, 240, 255), along)


def _ocean(x: int, y: int) -> Rgb:
    band, depth = divmod(y, 60)
    crest = 14 + 12 * sin(2 * pi * x / 240)
    if abs(depth - crest) < 4:  # noqa: PLR2004 - half the thickness of the foam
        return 225, 245, 255
    water = ((8, 60, 140), (16, 90, 175), (4, 42, 110))[band]
    return _blend(water, (40, 165, 215), max(0.0, 1 - abs(depth - crest) / 40))


def _candy(x: int, _y: int) -> Rgb:
    return ((255, 90, 150), (255, 240, 235), (120, 225, 200), (255, 240, 235))[x * 4 // 160]


def _forest(x: int, y: int) -> Rgb:
    ring = (abs(x - 48) + abs(y - 48)) // 8 % 6
    return ((14, 50, 24), (22, 84, 38), (38, 122, 50), (80, 160, 58), (168, 205, 88), (38, 122, 50))[ring]


def _aurora(x: int, y: int) -> Rgb:
    fold = _wave(x, 120) * 0.7 + _wave(x, 40) * 0.3
    glow = _blend((30, 235, 150), (150, 60, 235), _wave(y, 640))
    return _blend((5, 8, 30), glow, fold)


def _film(x: int, y: int) -> Rgb:
    paper, ink = (226, 200, 158), (92, 62, 38)
    inside = (x - 40) ** 2 + (y - 40) ** 2 < 26**2
    return _blend(paper, ink, 0.9 if inside else 0.15 * (y // 40))


PATTERNS = {
    "neon-grid": Pattern(120, 120, _neon, lambda n, _y: (4 * n, 2 * n)),
    "ocean-waves": Pattern(240, 180, _ocean, lambda n, y: ((2 + 2 * (y // 60 % 3)) * n, 0)),
    "candy-stripes": Pattern(160, 2, _candy, lambda n, y: (y - 2 * n, 0)),
    "forest-diamonds": Pattern(96, 96, _forest, lambda n, _y: (0, -2 * n)),
    "aurora-curtain": Pattern(120, 640, _aurora, lambda n, y: (_even(50 * sin(y / 150 + n / 25)), 2 * n)),
    "old-film": Pattern(80, 80, _film, lambda n, y: (2 * n if y // 80 % 2 else -2 * n, 0)),
}
"""By the name of the source."""
