"""A font of our own, 5 by 7 dots, so that samples can be made on a machine that has no fonts at all."""

from functools import cache

GLYPH_WIDTH, GLYPH_HEIGHT = 5, 7
ADVANCE = GLYPH_WIDTH + 1
"""Dots from the start of one letter to the start of the next."""

INK, PAPER = 235, 16
"""Luma of limited-range white and black."""

_FONT = {
    " ": "00 00 00 00 00 00 00",
    "#": "0A 0A 1F 0A 1F 0A 0A",
    "-": "00 00 00 1F 00 00 00",
    ".": "00 00 00 00 00 0C 0C",
    "/": "01 01 02 04 08 10 10",
    ":": "00 0C 0C 00 0C 0C 00",
    "0": "0E 11 13 15 19 11 0E",
    "1": "04 0C 04 04 04 04 0E",
    "2": "0E 11 01 02 04 08 1F",
    "3": "1F 02 04 02 01 11 0E",
    "4": "02 06 0A 12 1F 02 02",
    "5": "1F 10 1E 01 01 11 0E",
    "6": "06 08 10 1E 11 11 0E",
    "7": "1F 01 02 04 08 08 08",
    "8": "0E 11 11 0E 11 11 0E",
    "9": "0E 11 11 0F 01 02 0C",
    "A": "0E 11 11 1F 11 11 11",
    "B": "1E 11 11 1E 11 11 1E",
    "C": "0E 11 10 10 10 11 0E",
    "D": "1C 12 11 11 11 12 1C",
    "E": "1F 10 10 1E 10 10 1F",
    "F": "1F 10 10 1E 10 10 10",
    "G": "0E 11 10 17 11 11 0F",
    "H": "11 11 11 1F 11 11 11",
    "I": "0E 04 04 04 04 04 0E",
    "J": "07 02 02 02 02 12 0C",
    "K": "11 12 14 18 14 12 11",
    "L": "10 10 10 10 10 10 1F",
    "M": "11 1B 15 15 11 11 11",
    "N": "11 11 19 15 13 11 11",
    "O": "0E 11 11 11 11 11 0E",
    "P": "1E 11 11 1E 10 10 10",
    "Q": "0E 11 11 11 15 12 0D",
    "R": "1E 11 11 1E 14 12 11",
    "S": "0F 10 10 0E 01 01 1E",
    "T": "1F 04 04 04 04 04 04",
    "U": "11 11 11 11 11 11 0E",
    "V": "11 11 11 11 11 0A 04",
    "W": "11 11 11 15 15 15 0A",
    "X": "11 11 0A 04 0A 11 11",
    "Y": "11 11 11 0A 04 04 04",
    "Z": "1F 01 02 04 08 10 1F",
}
"""Seven rows of five dots, the leftmost dot being the highest bit."""


def text_width(text: str, dot: int) -> int:
    """Pixels that `text` takes when each dot is `dot` pixels wide."""
    return len(text) * ADVANCE * dot


def text_rows(text: str, dot: int) -> list[bytes]:
    """Seven rows of luma for `text`; each is to be painted `dot` times, one below the other.

    Raises:
        ValueError: a letter of `text` is not in the font.
    """
    return [b"".join(_glyph(letter, dot)[row] for letter in text) for row in range(GLYPH_HEIGHT)]


@cache
def _glyph(letter: str, dot: int) -> tuple[bytes, ...]:
    if letter not in _FONT:
        raise ValueError(f"the font has no {letter!r}: add it to _FONT in {__file__}")
    return tuple(_dots(int(row, 16), dot) for row in _FONT[letter].split())


def _dots(bits: int, dot: int) -> bytes:
    columns = range(ADVANCE - 1, -1, -1)  # the sixth is the gap to the next letter
    return b"".join(bytes([INK if (bits << 1) >> column & 1 else PAPER]) * dot for column in columns)
