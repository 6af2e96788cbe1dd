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

Ms = Annotated[int, Field(description="ms since 1970-01-01 UTC")]
ConfigVersion = Annotated[int, Field(ge=-1, description="offset of the config record; -1 is the default")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class MixEvent(BaseModel):
    """What every event of a mix says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    event_id: str = Field(description="uuid5 of its cause: the same when it is sent again")
    mix_id: MixId
    trace_id: TraceId
    caused_by: str = Field(description="topic/partition/offset of the record it follows from")
    at_ms: Ms


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str = Field(description="JSON Pointer to the field")
    code: str
    message: str


class PlannedLine(BaseModel):
    """One line of the plan, on the grid of the mix's frames."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    line_id: str
    clip_task_id: str
    clip_index: int = Field(description="position of the line, from 0")
    start_frame: int = Field(description="first frame of the mix that shows it, from 0")
    frames: int = Field(description="frames of the line itself")
    extend_frames: int = Field(description="further frames, into the gap that follows")
    text: str
    start_ms: int
    end_ms: int
    candidates: tuple[Candidate, ...]

    @property
    def clip_frames(self) -> int:
        """Frames of the line's clip: its own and its extension's."""
        return self.frames + self.extend_frames


class MixAccepted(MixEvent):
    """The plan of a mix: nothing outside this event is needed to make it."""

    type: Literal["mix-accepted"] = "mix-accepted"
    revision: int = Field(ge=1)
    submitted_at_ms: Ms
    total_clips: int
    total_frames: int = Field(description="to the last line's end; the outro is known at the join")
    profile: RenderProfile
    config_version: ConfigVersion
    priority: int
    song: Song | None
    gaps: Gaps
    subtitles: Subtitles
    content_digest: Sha256 = Field(description="of the request after validation and defaults")
    lines: tuple[PlannedLine, ...]


class MixRejected(MixEvent):
    """A request that changes nothing, with every error of it."""

    type: Literal["mix-rejected"] = "mix-rejected"
    submitted_at_ms: Ms
    errors: tuple[FieldError, ...]


class ClipEvent(MixEvent):
    """What every event of one clip says."""

    clip_task_id: str
    clip_index: int
    worker: str
    config_version: ConfigVersion


class AttemptEvent(ClipEvent):
    """One try at one candidate; it starts when its slot is taken."""

    video_id: str
    candidate_index: int
    attempt: int = Field(ge=1)
    parallel_slot: int = Field(ge=0)
    started_at_ms: Ms
    finished_at_ms: Ms


class ClipAttemptFailed(AttemptEvent):
    """The candidate could not be cut this time."""

    type: Literal["clip-attempt-failed"] = "clip-attempt-failed"
    reason: FallbackReason
    error: str
    retryable: bool


class ClipCompleted(AttemptEvent):
    """The clip of a line is in the store, verified."""

    type: Literal["clip-completed"] = "clip-completed"
    uri: str
    sha256: Sha256
    bytes: int
    frames: int
    first_source_ms: int = Field(description="source time of the first frame shown")
    last_source_ms: int = Field(description="source time of the last frame shown")
    method: str
    isolation: str


class ClipPlaceholder(ClipEvent):
    """No candidate could be cut: the line shows a placeholder."""

    type: Literal["clip-placeholder"] = "clip-placeholder"
    fallback_reason: FallbackReason
    attempts: tuple[PastAttempt, ...]
    uri: str
    sha256: Sha256
    frames: int


class MixRendered(MixEvent):
    """The video is there, verified."""

    type: Literal["mix-rendered"] = "mix-rendered"
    revision: int
    uri: str
    sha256: Sha256
    bytes: int
    frames: int
    duration_ms: int
    clip_stats: ClipStats


class MixFailed(MixEvent):
    """The mix as a whole cannot be made."""

    type: Literal["mix-failed"] = "mix-failed"
    reason: MixFailure
    message: str


class MixCancelled(MixEvent):
    """Somebody asked to stop it."""

    type: Literal["mix-cancelled"] = "mix-cancelled"
    reason: str
    message: str


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
