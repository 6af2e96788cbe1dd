"""The answers of the API: shapes, meanings, examples. Times are ms since 1970-01-01 UTC."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from topics.ids import MixId
from topics.stats import ClipStats

Status = Literal["queued", "rendering", "rendered", "failed", "cancelled", "rejected"]
ListedStatus = Literal["rendering", "rendered", "failed", "cancelled", "rejected"]
Outcome = Literal["completed", "placeholder"]
Moment = Annotated[int | None, Field(description="ms since 1970-01-01 UTC")]

_MIX: dict[str, Any] = {
    "mix_id": "demo-1",
    "status": "rendered",
    "revision": 1,
    "submitted_at_ms": 1_764_000_000_000,
    "finished_at_ms": 1_764_000_012_345,
    "progress": {"total": 60, "done": 60, "placeholders": 1},
    "video": {
        "href": "/api/v1/mixes/demo-1/video",
        "sha256": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        "bytes": 18_345_211,
        "frames": 5400,
        "duration_ms": 180_000,
    },
    "reason": None,
    "message": None,
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
}
_STATS = {
    "total_clips": 60,
    "completed_tasks": 59,
    "placeholder_tasks": 1,
    "failed_tasks": 1,
    "attempts": 62,
    "retries": 2,
    "peak_parallelism": 4,
    "avg_clip_duration_ms": 512,
    "p95_clip_duration_ms": 903,
    "fallback_reason_counts": {"cdn_error": 1},
    "per_video": {"neon": {"attempts": 62, "completed": 59, "failed": 3}},
    "config_versions": [-1],
}

_CLIP: dict[str, Any] = {
    "clip_index": 0,
    "line_id": "1",
    "text": "first line",
    "start_ms": 0,
    "end_ms": 3000,
    "start_frame": 0,
    "frames": 90,
    "outcome": "completed",
    "fallback_reason": None,
    "video_id": "neon",
    "candidate_index": 0,
    "attempts": 1,
    "worker": "studio-4711",
    "parallel_slot": 2,
    "duration_ms": 480,
    "finished_at_ms": 1_764_000_003_210,
    "config_version": -1,
    "sha256": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
}


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(frozen=True, json_schema_extra={"examples": [example]})


class Figures(ClipStats):
    """`clip_stats` as they stand in the snapshot, where a newer worker may have told reasons of its own."""

    fallback_reason_counts: dict[str, int] = Field(  # type: ignore[assignment] # wider than what we write
        description="only reasons that occurred"
    )


class Progress(BaseModel):
    """How far the newest revision is."""

    total: int = Field(description="lines")
    done: int = Field(description="lines with an outcome")
    placeholders: int = Field(description="those of them that show a placeholder")


class Video(BaseModel):
    """The finished video."""

    href: str = Field(description="where to fetch it from")
    sha256: str | None = Field(description="of the file, 64 hex digits")
    bytes: int | None = Field(description="size of the file")
    frames: int | None = Field(description="length in frames")
    duration_ms: int | None = Field(description="length in ms")


class MixSummary(BaseModel):
    """A mix in a list."""

    model_config = _example(_MIX)

    mix_id: MixId
    status: Status = Field(
        description="queued: Kafka has the request and no worker has decided on it yet; "
        "rejected: it was never accepted"
    )
    revision: int | None = Field(description="newest accepted revision, from 1; null when there is none")
    submitted_at_ms: Moment = None
    finished_at_ms: Moment = None
    progress: Progress | None = Field(None, description="null while the mix is not accepted")
    video: Video | None = Field(None, description="null unless rendered")
    reason: str | None = Field(None, description="why it failed, was cancelled or was rejected")
    message: str | None = Field(None, description="the same in words")
    trace_id: str | None = Field(None, description="W3C trace id of all that was done for it")


class MixDetails(MixSummary):
    """A mix with its figures."""

    model_config = _example({**_MIX, "clip_stats": _STATS, "requests": []})

    clip_stats: Figures | None = Field(
        None, description="figures of the newest revision so far; null while the mix is not accepted"
    )
    requests: list[str] = Field(
        [], description="when queued: where its requests stand in Kafka, topic/partition/offset"
    )


class MixPage(BaseModel):
    """Some mixes, newest first."""

    model_config = _example({"items": [_MIX], "next_cursor": None})

    items: list[MixSummary]
    next_cursor: str | None = Field(description="send it as `cursor` for those that follow; null at the end")


class Clip(BaseModel):
    """A line of the newest revision and its clip."""

    model_config = _example(_CLIP)

    clip_index: int = Field(description="position of the line, from 0")
    line_id: str | None = Field(description="the line's own name")
    text: str | None = Field(description="the lyric")
    start_ms: int | None = Field(description="on the picture's clock")
    end_ms: int | None = Field(description="on the picture's clock, not included")
    start_frame: int | None = Field(description="first frame of the mix that shows it, from 0")
    frames: int | None = Field(description="frames of the clip, its extension included")
    outcome: Outcome | None = Field(description="null while the line is in work")
    fallback_reason: str | None = Field(description="why it is a placeholder: a FallbackReason")
    video_id: str | None = Field(description="the source shown")
    candidate_index: int | None = Field(description="which candidate is shown, from 0")
    attempts: int = Field(description="attempts at this line, failed ones too")
    worker: str | None = Field(description="who made the outcome")
    parallel_slot: int | None = Field(description="slot of that worker, from 0")
    duration_ms: int | None = Field(description="time of the successful attempt")
    finished_at_ms: Moment
    config_version: int | None = Field(description="render config in force; -1: the built-in default")
    sha256: str | None = Field(description="of the clip, 64 hex digits")


class ClipPage(BaseModel):
    """Some lines of a mix, in order."""

    model_config = _example({"items": [_CLIP], "next_cursor": None})

    items: list[Clip]
    next_cursor: str | None = Field(description="send it as `cursor` for those that follow; null at the end")


class Asked(BaseModel):
    """What was asked stands in Kafka. What comes of it is told by the mix and its events."""

    model_config = _example(
        {
            "mix_id": "demo-1",
            "record": "mix-requests/3/41",
            "location": "/api/v1/mixes/demo-1",
            "revision": None,
        }
    )

    mix_id: MixId
    record: str | None = Field(
        description="where the request stands in Kafka, topic/partition/offset; null when nothing was sent "
        "because the mix is like this already"
    )
    location: str = Field(description="where the mix is told of")
    revision: int | None = Field(
        None, description="of a revise: the revision it becomes, unless another change comes before it"
    )
