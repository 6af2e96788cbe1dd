"""The work queue `clip-tasks`: one record for each attempt to be made at the clip of a line."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from topics.ids import MixId, TraceId
from topics.profile import RenderProfile
from topics.reasons import FallbackReason
from topics.requests import Candidate


class PastAttempt(BaseModel):
    """What an earlier attempt at this line's clip ended in."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    video_id: str = Field(description="source of the candidate tried")
    candidate_index: int = Field(description="which candidate was tried, from 0")
    reason: FallbackReason = Field(description="why it failed")
    error: str = Field(description="the same in words, with what was seen")


class ClipTask(BaseModel):
    """The order to make the clip of one line from the candidate at `candidate_index`.

    Keyed by that candidate's `video_id` (by `clip_task_id` when the line has none), so that all attempts
    at one source meet on one partition. It carries all that a cutter needs: nothing is looked up.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["clip-task"] = "clip-task"
    event_id: str = Field(description="uuid5 of its cause: the same when it is sent again")
    mix_id: MixId
    trace_id: TraceId
    caused_by: str = Field(description="topic/partition/offset of the record that asked for this attempt")
    at_ms: int = Field(description="when it was sent, ms since 1970-01-01 UTC")
    clip_task_id: str = Field(description="id of the line's clip, as in the plan")
    clip_index: int = Field(description="position of the line, from 0")
    line_id: str = Field(description="the line, as in the plan")
    priority: int = Field(description="of the mix, 0-9; 9 is the most urgent")
    revision: int = Field(1, description="of the plan that asked for it")
    deadline_at_ms: int | None = Field(
        None, description="when the mix's time is up, ms since 1970-01-01 UTC; null: never"
    )
    profile: RenderProfile = Field(description="what every clip of the mix has in common")
    frames: int = Field(description="frames of the line itself; the source must have them")
    extend_frames: int = Field(description="frames after them; what the source lacks of these is black")
    overlay_text: str | None = Field(None, description="drawn into the line's own frames; null: nothing")
    candidates: tuple[Candidate, ...] = Field(description="tried in the order given")
    candidate_index: int = Field(0, description="which candidate to try, from 0")
    attempt: int = Field(1, description="which try at that candidate, from 1")
    not_before_ms: int = Field(0, description="a retry waits until then, ms since 1970-01-01 UTC")
    attempts: tuple[PastAttempt, ...] = Field((), description="what has failed so far, oldest first")

    @property
    def candidate(self) -> Candidate | None:
        """The candidate to try now; `None` when the line has none."""
        return self.candidates[self.candidate_index] if self.candidates else None

    @property
    def key(self) -> str:
        """The Kafka key: what decides the partition, and so the one worker that tries this source."""
        candidate = self.candidate
        return candidate.video_id if candidate else self.clip_task_id
