"""What users ask, as records of `mix-requests`: make a mix, cancel one, revise one.

Strict where it can be: an unknown field is an error, since a misspelt option must not be ignored.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from topics.ids import MixId
from topics.profile import RenderProfile

DAY_MS = 86_400_000
"""Longest time on any clock here: nobody makes a music video of more than a day, but a typo does."""

MAX_LINES = 10_000

Milliseconds = Annotated[int, Field(ge=0, le=DAY_MS)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Uri = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f]+$")]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Song(_Request):
    """The sound of the mix."""

    uri: Uri = Field(description="http(s)://, file:/// or a path under a media root")
    offset_ms: Annotated[int, Field(ge=-DAY_MS, le=DAY_MS)] = Field(
        0, description="picture time of its first sample; below 0 cuts that much off its head"
    )


class Gaps(_Request):
    """What is seen between lines."""

    policy: Literal["extend", "black"] = Field("extend", description="a clip runs on, or black at once")
    max_extend_ms: Milliseconds = Field(4000, description="a clip runs on for at most so long")


class Subtitles(_Request):
    """Lyrics on the picture or beside it."""

    burn_in: bool = Field(False, description="draw the lyrics into the picture")
    sidecar: tuple[Literal["srt", "vtt"], ...] = Field((), description="files written beside the video")


class Candidate(_Request):
    """A span of a source video that could illustrate a line. The cut starts at `start_ms`."""

    video_id: Name = Field(description="the source; its limits and its queue go by this")
    uri: Uri = Field(description="http(s)://, file:/// or a path under a media root")
    start_ms: Milliseconds = Field(description="where the cut starts, on the source's clock")
    end_ms: Milliseconds | None = Field(None, description="a hint, never checked against the source")
    rank: int | None = Field(None, description="kept for the reader; the order given decides")
    score: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        None, description="kept for the reader of the request; dropped from the plan"
    )


class Line(_Request):
    """One lyric line on the picture's clock, span `[start_ms, end_ms)`."""

    line_id: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="unique; its position from 1 when absent"
    )
    text: Annotated[str, Field(max_length=10_000)] = Field("", description="the lyric")
    start_ms: Milliseconds = Field(description="on the picture's clock")
    end_ms: Milliseconds = Field(description="on the picture's clock, not included")
    candidates: tuple[Candidate, ...] = Field((), description="tried in the order given")


def _some_line(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Not `min_length`: pydantic counts only the lines that fit, so one bad line would look like none."""
    if not lines:
        raise PydanticCustomError("too_short", "there must be at least one line")
    return lines


class MixRequest(_Request):
    """Make a music video of these lines over this song."""

    type: Literal["mix-request"] = "mix-request"
    mix_id: MixId | None = Field(
        None, description="absent: the record's key if it fits, else minted from where the record stands"
    )
    priority: Annotated[int, Field(ge=0, le=9)] = Field(5, description="9 is the most urgent")
    deadline_ms: Annotated[int, Field(ge=1, le=DAY_MS)] | None = Field(
        None, description="so long after the request was sent, lines that are not done get a placeholder"
    )
    song: Song | None = Field(None, description="absent: the video has no audio stream")
    profile: RenderProfile = Field(default_factory=RenderProfile, description="what every clip has in common")
    gaps: Gaps = Field(default_factory=Gaps, description="what is seen between lines")
    subtitles: Subtitles = Field(default_factory=Subtitles, description="lyrics on the picture or beside it")
    lines: Annotated[
        tuple[Line, ...],
        Field(max_length=MAX_LINES, json_schema_extra={"minItems": 1}),
        AfterValidator(_some_line),
    ] = Field(description="sorted by `start_ms`, not overlapping")


class MixCancel(_Request):
    """Stop a mix that has not ended."""

    type: Literal["mix-cancel"]
    mix_id: MixId | None = Field(None, description="the mix to stop; absent: the record's key")


class MixRevise(_Request):
    """Change or add lines of an accepted mix, by `line_id`; all else stays as it was.

    With `again` the video is made once more, whether anything else is changed or not.
    """

    type: Literal["mix-revise"]
    mix_id: MixId | None = Field(None, description="the mix to change; absent: the record's key")
    priority: Annotated[int, Field(ge=0, le=9)] | None = Field(None, description="9 is the most urgent")
    song: Song | None = Field(None, description="another song")
    gaps: Gaps | None = Field(None, description="what is seen between lines")
    subtitles: Subtitles | None = Field(None, description="lyrics on the picture or beside it")
    lines: Annotated[tuple[Line, ...], Field(max_length=MAX_LINES)] = Field(
        (), description="changed or new lines by `line_id`"
    )
    again: bool = Field(
        default=False,
        description="ask for every clip anew, such as when files of the mix were removed; one that is still "
        "in the store is not cut again",
    )


type_of_request: dict[str, type[MixRequest | MixCancel | MixRevise]] = {
    "mix-request": MixRequest,
    "mix-cancel": MixCancel,
    "mix-revise": MixRevise,
}
"""The model of each value of `type`; a request without `type` is a `mix-request`."""
