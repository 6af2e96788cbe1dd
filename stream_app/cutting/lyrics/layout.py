"""How large a line's text is drawn, and where it may break: from estimates, since only the renderer measures.

The text stands at the bottom of the picture, inside its safe margins, and grows upwards. Sizes are those of
ASS: the height of a row in pixels.
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

SIDE_MARGIN, BOTTOM_MARGIN = 0.05, 0.06
"""Parts of the width and the height that stay free: the title-safe area of EBU R 95 is 5 % on each side."""

ROW_OF_SHORT_SIDE = 15
"""Rows that would fill the shorter side, as subtitles of broadcasters are: 48 pixels at 720p."""

SMALLEST_ROW, ROWS_OF_TINY = 10, 4
"""Letters of rows below ten pixels are hard to read, so there they take up to a quarter of the picture."""

LONG_TEXT = 0.6
"""Text is made smaller by this at most to stay in the lower third; longer text goes above it. Only text that
would not fit the picture is made smaller still."""

EM = 0.86
"""Width of an em in rows: DejaVu Sans is 1.164 em high."""

RAGGED = 0.85
"""How much of each row is used: the rest is lost to words that did not fit."""

SHRINK = 0.95
ZERO_WIDTH_SPACE = "\u200b"


def text_rows(text: str) -> tuple[str, ...]:
    """The rows that `text` itself has, without empty ones and without what no font draws."""
    rows = ("".join(map(_printable, row)).strip() for row in text.splitlines())
    return tuple(row for row in rows if row)


def _printable(char: str) -> str:
    if char == "\t":
        return " "
    return "" if unicodedata.category(char) in {"Cc", "Cs"} else char


@dataclass(frozen=True)
class Layout:
    """The rows of one text in a picture of `width` x `height` pixels.

    Attributes:
        rows: as of `text_rows`; at least one.
        scale: what the size is multiplied with, for another try when the text was wider than estimated.
    """

    rows: Sequence[str]
    width: int
    height: int
    scale: float = 1.0

    @property
    def size(self) -> float:
        """Height of a row, in pixels: the common one, or what lets a long text fit."""
        return self._size * self.scale

    @cached_property
    def _size(self) -> float:
        short = min(self.width, self.height)
        common = max(short / ROW_OF_SHORT_SIDE, min(SMALLEST_ROW, short / ROWS_OF_TINY))
        smallest = max(common * LONG_TEXT, min(common, SMALLEST_ROW))
        size = self._fitting(common, self.height / 3 - self.bottom_margin)
        if size < smallest:
            size = self._fitting(smallest, self.height - 2 * self.bottom_margin)
        return size

    @property
    def side_margin(self) -> int:
        """Pixels that stay free on the left and on the right."""
        return round(self.width * SIDE_MARGIN)

    @property
    def bottom_margin(self) -> int:
        """Pixels that stay free below."""
        return round(self.height * BOTTOM_MARGIN)

    def breakable_rows(self) -> list[str]:
        """The rows; words that are wider than the picture may break inside."""
        # In the same places at every scale: pieces that grew while the letters shrink would stay as wide.
        most = self._ems(self._size) * RAGGED
        return [" ".join(_breakable(word, most) for word in row.split(" ")) for row in self.rows]

    def _fitting(self, size: float, height: float) -> float:
        """The largest size up to `size` at which the text is no higher than `height`."""
        while size > 1 and self._height(size) > height:
            size *= SHRINK
        return size

    def _height(self, size: float) -> float:
        usable = self._ems(size) * RAGGED
        return size * sum(math.ceil(width / usable) or 1 for width in self._widths)

    def _ems(self, size: float) -> float:
        return max(1.0, (self.width - 2 * self.side_margin) / (size * EM))

    @cached_property
    def _widths(self) -> list[float]:
        return [sum(map(_ems_of, row)) for row in self.rows]


def _ems_of(char: str) -> float:
    """About how wide a character is, in ems; a little more than most are."""
    category = unicodedata.category(char)
    if category in {"Mn", "Me", "Cf"}:
        return 0.0
    if unicodedata.east_asian_width(char) in {"W", "F"}:
        return 1.0
    if char in "iljtfrI.,:;'!|() ":
        return 0.4
    if category == "Lu" or char in "mw%@&":
        return 0.85
    return 0.62 if char.isascii() else 0.75


def _breakable(word: str, most: float) -> str:
    return ZERO_WIDTH_SPACE.join(_pieces(word, most))


def _pieces(word: str, most: float) -> Iterator[str]:
    """`word` in pieces of up to `most` ems, none of which begins with a mark of the letter before."""
    piece, width = "", 0.0
    for char in word:
        added = _ems_of(char)
        if piece and added and width + added > most:
            yield piece
            piece, width = "", 0.0
        piece += char
        width += added
    yield piece
