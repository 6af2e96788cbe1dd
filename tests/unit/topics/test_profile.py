from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from topics.profile import RenderProfile, parse_fps


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("30", Fraction(30)),
        ("1", Fraction(1)),
        ("120", Fraction(120)),
        ("30000/1001", Fraction(30000, 1001)),
        ("24000/1001", Fraction(24000, 1001)),
        ("60000/1001", Fraction(60000, 1001)),
        ("50/2", Fraction(25)),
        ("025", Fraction(25)),
        ("999999999/9999999", Fraction(999999999, 9999999)),
    ],
)
def test_a_frame_rate(text: str, rate: Fraction) -> None:
    assert parse_fps(text) == rate
    assert RenderProfile(fps=text).rate == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "121",
        "121/1",
        "1/2",
        "0/1",
        "30/0",
        "0/0",
        "29.97",
        "-30",
        "+30",
        "3e1",
        " 30",
        "30 ",
        "30\n",
        "30/",
        "/1001",
        "30/1/1",
        "30000/-1001",
        "٣٠",
        "³",
        "NaN",
        "30fps",
        "1000000000/10000000",
    ],
)
def test_no_frame_rate(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_fps(text)
    with pytest.raises(ValidationError, match="must"):
        RenderProfile(fps=text)


@given(st.text())
def test_any_text_is_a_rate_within_the_limits_or_a_value_error(text: str) -> None:
    try:
        rate = parse_fps(text)
    except ValueError:
        return
    assert 1 <= rate <= 120


@given(st.integers(1, 999_999_999), st.integers(1, 999_999_999))
def test_fractions_are_exact(numerator: int, denominator: int) -> None:
    rate = Fraction(numerator, denominator)
    if 1 <= rate <= 120:
        assert parse_fps(f"{numerator}/{denominator}") == rate
    else:
        with pytest.raises(ValueError, match="within 1 and 120"):
            parse_fps(f"{numerator}/{denominator}")


def test_the_defaults() -> None:
    assert RenderProfile().model_dump() == {
        "width": 1280,
        "height": 720,
        "fps": "30",
        "fit": "crop",
        "quality": "standard",
    }


@pytest.mark.parametrize("pixels", [16, 18, 7680])
def test_sizes_within_the_limits(pixels: int) -> None:
    assert RenderProfile(width=pixels, height=pixels).width == pixels


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize("pixels", [-16, 0, 14, 15, 17, 1279, 7681, 7682, "1280", 1280.0, True, None])
def test_sizes_beyond_the_limits(side: str, pixels: Any) -> None:
    with pytest.raises(ValidationError, match=side):
        RenderProfile.model_validate({side: pixels})


@pytest.mark.parametrize(
    ("field", "value"), [("fit", "zoom"), ("quality", "best"), ("fps", 30), ("fsp", "30")]
)
def test_other_mistakes_name_the_field(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        RenderProfile.model_validate({field: value})
