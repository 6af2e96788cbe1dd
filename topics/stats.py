"""`clip_stats`: the roll-up of a mix, as it stands in `mix-rendered`, in SQL and in the log."""

from pydantic import BaseModel, ConfigDict, Field

from topics.reasons import FallbackReason


class VideoStats(BaseModel):
    """Attempts at one source video."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    attempts: int = Field(description="all attempts at it")
    completed: int = Field(description="those that made a clip")
    failed: int = Field(description="those that did not")


class ClipStats(BaseModel):
    """What became of the lines of a mix. All integers; durations in ms over successful attempts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    total_clips: int = Field(description="lines with an outcome")
    completed_tasks: int = Field(description="lines with a clip cut from a candidate")
    placeholder_tasks: int = Field(description="lines with a placeholder")
    failed_tasks: int = Field(description="lines with at least one attempt where no candidate could be cut")
    attempts: int = Field(description="all attempts, failed ones too")
    retries: int = Field(description="attempts less distinct (line, candidate) tried")
    peak_parallelism: int = Field(description="most attempts of this mix in progress at one moment")
    avg_clip_duration_ms: int | None = Field(description="half up; null without a successful attempt")
    p95_clip_duration_ms: int | None = Field(description="nearest rank; null without a successful attempt")
    fallback_reason_counts: dict[FallbackReason, int] = Field(description="only reasons that occurred")
    per_video: dict[str, VideoStats] = Field(description="by `video_id`")
    config_versions: tuple[int, ...] = Field(description="sorted; -1 is the built-in default")
