"""Texts rendered by the real libass: any text, any size, and nothing that is not in the text."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_app.child_process import Ended, TimeLimitError
from stream_app.cutting.lyrics import render
from stream_app.cutting.lyrics.render import render_text
from stream_app.cutting.lyrics.still import Still
from stream_app.domain.errors import OwnFaultError
from topics.profile import RenderProfile

HD = RenderProfile(width=1280, height=720)
NOBODY_HAS = "\U0010fffd"
"""For private use, and in no font."""

Draw = Callable[..., Still]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A name in a folder whose own name has all that filters give a meaning to."""
    folder = tmp_path_factory.mktemp("a") / "it's [1], 2; c:\\x=%1"
    folder.mkdir()
    return folder / "clip.mp4"


@pytest.fixture
def draw(out: Path) -> Draw:
    def drawn(text: str, width: int = HD.width, height: int = HD.height) -> Still:
        rendered = render_text(text, RenderProfile(width=width, height=height), out)
        assert rendered.undrawn == ""
        assert rendered.still is not None
        assert list(out.parent.iterdir()) == []
        return rendered.still

    return drawn


def plane_of(still: Still, number: int) -> npt.NDArray[np.uint8]:
    plane = still.picture.planes[number]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width]


def alpha(still: Still) -> npt.NDArray[np.uint8]:
    return plane_of(still, 3)


def same(first: Still, second: Still) -> bool:
    place = (first.left, first.top) == (second.left, second.top)
    return place and np.array_equal(alpha(first), alpha(second))


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (1080, 1920), (640, 360), (160, 90), (32, 32), (7680, 4320)]
)
def test_a_line_stands_in_the_lower_third_centred_and_whole(draw: Draw, width: int, height: int) -> None:
    still = draw("la la", width, height)
    right, bottom = still.left + still.picture.width, still.top + still.picture.height
    assert not still.is_cut_off
    assert still.top >= height * 2 / 3 - 2
    assert bottom <= height * 0.97 + 2
    assert abs(still.left + right - width) <= 4
    assert still.left >= width * 0.04 - 2


@pytest.mark.parametrize(("width", "height"), [(16, 16), (16, 7680), (7680, 16)])
def test_the_smallest_and_the_oddest_pictures_show_something(draw: Draw, width: int, height: int) -> None:
    still = draw("la la la", width, height)
    assert still.left + still.picture.width <= width
    assert still.top + still.picture.height <= height


def test_letters_are_white_with_a_black_outline(draw: Draw) -> None:
    still = draw("HOLD")
    luma, opacity = plane_of(still, 0), alpha(still)
    assert set(luma[opacity == 255].ravel()) >= {16, 235}
    # Straight and not premultiplied: the half transparent rim is as black as the outline.
    rim = luma[(opacity > 0) & (opacity < 128)]
    assert rim.size > 100
    assert set(rim) == {16}


def test_rows_are_kept_and_long_ones_wrapped(draw: Draw) -> None:
    one, two, long = draw("la"), draw("la\nla"), draw("la la la la la " * 5)
    assert two.picture.height - one.picture.height == pytest.approx(48, abs=3)
    assert long.picture.height - one.picture.height >= 45
    assert long.left >= 1280 * 0.04
    assert long.top >= 480


@pytest.mark.parametrize(
    "text",
    ["{\\b1}la", "{\\p1}m 0 0 l 100 0 100 100 0 100{\\p0}", "{\\an8}la", "{\\fs5}la", "{la}", "la{", "}la"],
)
def test_commands_are_shown_and_not_obeyed(draw: Draw, text: str) -> None:
    # Brackets that mean nothing, of the same width.
    harmless = draw(text.replace("\\", "/").replace("{", "(").replace("}", ")"))
    still = draw(text)
    assert (still.top, still.picture.height) == pytest.approx((harmless.top, harmless.picture.height), abs=4)
    brackets = text.count("{") + text.count("}")
    assert still.picture.width == pytest.approx(harmless.picture.width, abs=4 + 14 * brackets)
    assert still.picture.width > draw("la").picture.width


@pytest.mark.parametrize(
    ("text", "shown"), [("la\\Nla", "la/Nla"), ("la\\nla", "la/nla"), ("la\\hla", "la/hla")]
)
def test_breaks_of_libass_are_shown_and_not_obeyed(draw: Draw, text: str, shown: str) -> None:
    still, harmless = draw(text), draw(shown)
    assert still.picture.height <= harmless.picture.height + 4
    assert still.picture.width == pytest.approx(harmless.picture.width, abs=4)


def test_text_from_right_to_left_is_shaped_and_ordered(draw: Draw) -> None:
    assert draw("عربي").picture.width < sum(draw(letter).picture.width for letter in "عربي")
    # The full stop stands on the left, low; read from left to right it would be on the right.
    sentence = alpha(draw("שלום ."))
    upper = sentence[: len(sentence) // 2]
    assert not upper[:, :8].any()
    assert upper[:, -8:].any()


def test_marks_stand_on_their_letters(draw: Draw) -> None:
    assert same(draw("e\u0301"), draw("\u00e9"))


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000,
        "word " * 2_000,
        "\n".join(["la la"] * 60),
        "W" * 500,
        "\u01c4" * 200,
    ],
    ids=["one word", "words", "rows", "wide letters", "wider letters"],
)
def test_long_text_fits(draw: Draw, text: str) -> None:
    assert not draw(text).is_cut_off


@pytest.mark.parametrize("text", ["e" + "\u0301" * 9_999, "\n".join(["la"] * 3_333)], ids=["marks", "rows"])
def test_what_cannot_fit_harms_nobody(draw: Draw, text: str) -> None:
    still = draw(text)
    assert still.picture.height <= HD.height


def test_ten_thousand_characters_that_no_font_has_are_left_out(out: Path) -> None:
    private = [chr(code) for code in range(0x100000, 0x100000 + 9_998)]
    rendered = render_text("la" + "".join(private), HD, out)
    assert set(rendered.undrawn) == set(private)
    assert rendered.still is not None


def test_what_no_font_has_is_left_out_and_told(draw: Draw, out: Path) -> None:
    rendered = render_text(f"l{NOBODY_HAS}a {NOBODY_HAS}\n{NOBODY_HAS}", HD, out)
    assert rendered.undrawn == NOBODY_HAS
    assert rendered.still is not None
    assert same(rendered.still, draw("la"))


@pytest.mark.parametrize("text", ["", " \n ", "\0", "\u200b"])
def test_nothing_to_see_is_no_still(out: Path, text: str) -> None:
    rendered = render_text(text, HD, out)
    assert (rendered.still, rendered.undrawn) == (None, "")


def test_equal_text_gives_equal_pictures(draw: Draw) -> None:
    assert same(draw("one and the same"), draw("one and the same"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(max_size=300),
        st.text(st.sampled_from("\\{}Nnh,:;pbi01 \n\u202e\u2067\u200d\ufe0f\u0301😀👩漢שع&<"), max_size=300),
    ),
    size=st.sampled_from([(320, 180), (90, 160), (16, 16)]),
)
def test_any_text_renders(out: Path, text: str, size: tuple[int, int]) -> None:
    rendered = render_text(text, RenderProfile(width=size[0], height=size[1]), out)
    assert set(rendered.undrawn) <= set(text)
    assert list(out.parent.iterdir()) == []


def test_a_text_that_crashes_libass_is_told_as_undrawn(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "run_to_end", lambda *_, **__: Ended(-11, ""))
    assert render_text("lala", HD, out) == render.Rendered(None, "la")


def test_a_text_of_which_ever_more_is_missing_is_told_whole(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "_try", lambda layout, _: render.Rendered(None, layout.rows[0][0]))
    assert render_text("abcdefghij", HD, out) == render.Rendered(None, "abcdefghij")


def test_a_text_that_takes_for_ever_is_told_as_undrawn(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(*_: object, **__: object) -> Ended:
        raise TimeLimitError

    monkeypatch.setattr(render, "run_to_end", too_slow)
    assert render_text("lala", HD, out) == render.Rendered(None, "la")


@pytest.mark.parametrize("program", ["/bin/false", "/nonexistent/ffmpeg"])
def test_an_ffmpeg_that_cannot_draw_is_our_own_fault(
    out: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(render, "get_ffmpeg_exe", lambda: program)
    with pytest.raises(OwnFaultError, match="lyrics cannot be drawn"):
        render_text("la", HD, out)
    assert list(out.parent.iterdir()) == []
