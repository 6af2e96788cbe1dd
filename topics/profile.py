"""The render profile: what every clip of a mix has in common."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MIN_FPS, MAX_FPS = 1, 120

Fit = Literal["crop", "pad", "blur", "stretch"]
Quality = Literal["draft", "standard", "high"]


def _even(pixels: int) -> int:
    if pixels % 2:
        raise ValueError("must be even: H.264 with 4:2:0 chroma has no odd sizes")
    return pixels


def parse_fps(text: str) -> Fraction:
    """The frame rate written as `"30"` or `"30000/1001"`, in frames a second.

    Raises:
        ValueError: it is not of that form, or not within 1-120.
    """
    numerator, slash, denominator = text.partition("/")
    parts = (numerator, denominator) if slash else (numerator,)
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in parts):  # noqa: PLR2004
        raise ValueError('must be a whole number or a fraction of two, such as "30" or "30000/1001"')
    if slash and int(denominator) == 0:
        raise ValueError("must not be a fraction of zero")
    fps = Fraction(int(numerator), int(denominator) if slash else 1)
    if not MIN_FPS <= fps <= MAX_FPS:
        raise ValueError(f"must be within {MIN_FPS} and {MAX_FPS} frames a second")
    return fps


def _check_fps(text: str) -> str:
    parse_fps(text)
    return text


Pixels = Annotated[int, Field(ge=16, le=7680), AfterValidator(_even)]


class RenderProfile(BaseModel):
    """Size, rate, framing and quality of a mix; the same for every clip of it.

    Out comes H.264 yuv420p, BT.709 limited range, at a constant rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    width: Pixels = Field(1280, description="pixels, even, 16-7680")
    height: Pixels = Field(720, description="pixels, even, 16-7680")
    fps: Annotated[str, AfterValidator(_check_fps)] = Field("30", description='"30" or "30000/1001"; 1-120')
    fit: Fit = Field("crop", description="how a source of another shape fills the picture")
    quality: Quality = Field("standard", description="speed against size and sharpness of the encoder")

    @property
    def rate(self) -> Fraction:
        """Frames a second, exactly."""
        return parse_fps(self.fps)
