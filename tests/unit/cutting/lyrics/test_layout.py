import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.cutting.lyrics.layout import ZERO_WIDTH_SPACE, Layout, text_rows

PIXELS = st.integers(8, 3840).map(lambda half: 2 * half)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (1280, 720, 48),
        (1920, 1080, 72),
        (1080, 1920, 72),
        (7680, 4320, 288),
        (640, 360, 24),
        (160, 90, 10),
        (32, 32, 8),
        (16, 16, 4),
    ],
)
def test_a_short_line_has_the_common_size(width: int, height: int, size: int) -> None:
    assert Layout(("La",), width, height).size == pytest.approx(size)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("one\ntwo\nthree", 48),
        ("one\ntwo\nthree\nfour\nfive", 38),
        ("\n".join(["row"] * 10), 28.8),
        ("word " * 2000, 10.9),
    ],
)
def test_longer_text_is_smaller_then_higher_then_smaller_still(text: str, size: float) -> None:
    assert Layout(text_rows(text), 1280, 720).size == pytest.approx(size, rel=0.07)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", ()),
        (" \n\t\r\n", ()),
        ("\0\x1b", ()),
        ("one\n\n two ", ("one", "two")),
        ("one\rtwo\x0bthree\u2028four\u2029five\x85six", ("one", "two", "three", "four", "five", "six")),
        ("a\tb\0c\x9fd\ud800e", ("a bcde",)),
    ],
)
def test_rows_are_those_of_the_text_without_what_cannot_be_drawn(text: str, rows: tuple[str, ...]) -> None:
    assert text_rows(text) == rows


def test_a_word_wider_than_the_picture_may_break_but_never_before_a_mark() -> None:
    (row,) = Layout(("short " + "e\u0301" * 60,), 320, 180).breakable_rows()
    short, *pieces = row.split(" ")[0], *row.split(" ")[1].split(ZERO_WIDTH_SPACE)
    assert short == "short"
    assert len(pieces) > 1
    assert all(piece.startswith("e\u0301") for piece in pieces)


@given(text=st.text(max_size=200), width=PIXELS, height=PIXELS)
def test_no_letter_is_lost_or_changed_for_the_sake_of_breaks(text: str, width: int, height: int) -> None:
    rows = text_rows(text)
    broken = Layout(rows, width, height).breakable_rows()
    assert [row.replace(ZERO_WIDTH_SPACE, "") for row in broken] == [
        row.replace(ZERO_WIDTH_SPACE, "") for row in rows
    ]


@given(text=st.text(min_size=1, max_size=2000), width=PIXELS, height=PIXELS)
def test_every_size_is_one_that_can_be_drawn(text: str, width: int, height: int) -> None:
    rows = text_rows(text) or ("x",)
    assert 0.9 < Layout(rows, width, height).size <= max(10, min(width, height) / 15)
