"""The event log `mix-events`: every fact of every mix, in order per mix, in the past tense.

Writers build these models, so nothing malformed is ever sent; readers ignore fields they do not know.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from topics.ids import MixId, TraceId
from topics.profile import RenderProfile
from topics.reasons import FallbackReason, MixFailure
from topics.requests import Candidate, Gaps, Song, Subtitles
from topics.stats import ClipStats
from topics.tasks import PastAttempt

Submitted = Annotated[int, Field(description="when the request was sent, ms since 1970-01-01 UTC")]
ConfigVersion = Annotated[int, Field(ge=-1, description="offset of the config record; -1 is the default")]
Ended = Annotated[
    int | None, Field(description="revision of the plan that it ended; null: the newest one before it")
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="of the file, 64 hex digits")]
Undrawn = Annotated[
    str, Field(description="characters left out of the burnt-in lyrics: no font of the worker had them")
]


class MixEvent(BaseModel):
    """What every event of a mix says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = Field(description="which event it is; its record type")
    event_id: str = Field(description="uuid5 of its cause: the same when it is sent again")
    mix_id: MixId
    trace_id: TraceId
    caused_by: str = Field(description="topic/partition/offset of the record it follows from")
    at_ms: Annotated[int, Field(description="when it was written, ms since 1970-01-01 UTC")]


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str = Field(description="JSON Pointer to the field")
    code: str = Field(description="what kind of fault it is, for programs")
    message: str = Field(description="what is wrong and what to do, for people")


class PlannedLine(BaseModel):
    """One line of the plan, on the grid of the mix's frames."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    line_id: str = Field(description="the request's, or the line's position from 1")
    clip_task_id: str = Field(
        description="id of the line's clip; a revision that leaves the line alone keeps it"
    )
    clip_index: int = Field(description="position of the line, from 0")
    start_frame: int = Field(description="first frame of the mix that shows it, from 0")
    frames: int = Field(description="frames of the line itself")
    extend_frames: int = Field(description="further frames, into the gap that follows")
    text: str = Field(description="the lyric")
    start_ms: int = Field(description="on the picture's clock")
    end_ms: int = Field(description="on the picture's clock, not included")
    candidates: tuple[Candidate, ...] = Field(description="tried in the order given")

    @property
    def clip_frames(self) -> int:
        """Frames of the line's clip: its own and its extension's."""
        return self.frames + self.extend_frames


class MixAccepted(MixEvent):
    """The plan of a mix: nothing outside this event is needed to make it."""

    type: Literal["mix-accepted"] = "mix-accepted"
    revision: int = Field(ge=1, description="1, and one more with each accepted mix-revise")
    submitted_at_ms: Submitted
    total_clips: int = Field(description="lines of the mix")
    total_frames: int = Field(description="to the last line's end; the outro is known at the join")
    profile: RenderProfile = Field(description="what every clip has in common")
    config_version: ConfigVersion
    priority: int = Field(description="0-9; 9 is the most urgent")
    deadline_at_ms: int | None = Field(
        None, description="when the mix's time is up, ms since 1970-01-01 UTC; null: never"
    )
    log_start: int | None = Field(
        None,
        description="offset in its partition of mix-events: no mix-accepted of this mix stands before it; "
        "null: this is the first",
    )
    asked_anew: int = Field(
        1, ge=1, description="newest revision that asked for every clip anew; clip_task_ids depend on it"
    )
    song: Song | None = Field(description="null: the video has no audio stream")
    gaps: Gaps = Field(description="what is seen between lines")
    subtitles: Subtitles = Field(description="lyrics on the picture or beside it")
    content_digest: Sha256 = Field(description="of the request after validation and defaults")
    lines: tuple[PlannedLine, ...] = Field(description="the whole plan, in order")


class MixRejected(MixEvent):
    """A request that changes nothing, with every error of it."""

    type: Literal["mix-rejected"] = "mix-rejected"
    submitted_at_ms: Submitted
    errors: tuple[FieldError, ...] = Field(description="every error of the request")


class ClipEvent(MixEvent):
    """What every event of one clip says."""

    clip_task_id: str = Field(description="id of the line's clip, as in the plan")
    clip_index: int = Field(description="position of the line, from 0")
    worker: str = Field(description="name of the worker that did it")
    config_version: ConfigVersion


class AttemptEvent(ClipEvent):
    """One try at one candidate; it starts when its slot is taken."""

    video_id: str = Field(description="source of the candidate tried")
    candidate_index: int = Field(description="which candidate was tried, from 0")
    attempt: int = Field(ge=1, description="which try at that candidate, from 1")
    parallel_slot: int = Field(ge=0, description="slot of the worker, from 0")
    started_at_ms: int = Field(description="when its slot was taken, ms since 1970-01-01 UTC")
    finished_at_ms: int = Field(description="when its outcome was known, ms since 1970-01-01 UTC")


class ClipAttemptFailed(AttemptEvent):
    """The candidate could not be cut this time."""

    type: Literal["clip-attempt-failed"] = "clip-attempt-failed"
    reason: FallbackReason = Field(description="why it failed")
    error: str = Field(description="the same in words, with what was seen")
    retryable: bool = Field(description="whether the same candidate may succeed when tried again")


class ClipCompleted(AttemptEvent):
    """The clip of a line is in the store, verified."""

    type: Literal["clip-completed"] = "clip-completed"
    uri: str = Field(description="where the clip lies in the store")
    sha256: Sha256
    bytes: int = Field(description="size of the clip")
    frames: int = Field(description="frames of the clip, its extension included")
    first_source_ms: int = Field(description="source time of the first frame shown")
    last_source_ms: int = Field(description="source time of the last frame shown")
    method: str = Field(description="how it was cut")
    isolation: str = Field(description="what the cutter ran in, apart from the worker")
    undrawn: Undrawn = ""


class ClipPlaceholder(ClipEvent):
    """No candidate could be cut: the line shows a placeholder."""

    type: Literal["clip-placeholder"] = "clip-placeholder"
    fallback_reason: FallbackReason = Field(description="reason of the best-ranked candidate")
    attempts: tuple[PastAttempt, ...] = Field(description="every attempt that failed, oldest first")
    uri: str = Field(description="where the placeholder's clip lies in the store")
    sha256: Sha256
    frames: int = Field(description="frames of the clip, its extension included")
    undrawn: Undrawn = ""


class MixRendered(MixEvent):
    """The video is there, verified."""

    type: Literal["mix-rendered"] = "mix-rendered"
    revision: int = Field(description="revision of the plan that was rendered")
    uri: str = Field(description="where the video lies")
    sha256: Sha256
    bytes: int = Field(description="size of the video")
    frames: int = Field(description="frames of the video, intro and outro included")
    duration_ms: int = Field(description="length of the video")
    clip_stats: ClipStats = Field(description="roll-up of the mix")


class MixFailed(MixEvent):
    """The mix as a whole cannot be made."""

    type: Literal["mix-failed"] = "mix-failed"
    revision: Ended = None
    reason: MixFailure = Field(description="why it failed")
    message: str = Field(description="the same in words, with what was seen")


class MixCancelled(MixEvent):
    """Somebody asked to stop it."""

    type: Literal["mix-cancelled"] = "mix-cancelled"
    revision: Ended = None
    reason: str = Field(description="why it was stopped")
    message: str = Field(description="the same in words")


AnyMixEvent = Annotated[
    MixAccepted
    | MixRejected
    | ClipAttemptFailed
    | ClipCompleted
    | ClipPlaceholder
    | MixRendered
    | MixFailed
    | MixCancelled,
    Field(discriminator="type"),
]
ClipOutcome = ClipCompleted | ClipPlaceholder
"""What ends the work on a line."""

MixEnd = MixRendered | MixFailed | MixCancelled
"""What ends the work on a mix."""

mix_event_adapter: TypeAdapter[Any] = TypeAdapter(AnyMixEvent)
