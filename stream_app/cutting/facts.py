"""What an attempt says when it ends: from a task and what happened to the event that goes into the log."""

from dataclasses import dataclass
from typing import Any

from stream_app.cutting.orders import CutResult
from stream_app.domain.config import ConfigInForce
from stream_app.domain.errors import SourceError
from topics.events import ClipAttemptFailed, ClipCompleted, ClipPlaceholder
from topics.ids import RecordRef, derived_id
from topics.reasons import FallbackReason
from topics.requests import Candidate
from topics.tasks import ClipTask, PastAttempt


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one candidate, from the moment its slot was taken."""

    task: ClipTask
    candidate: Candidate
    ref: RecordRef
    slot: int
    config: ConfigInForce
    worker: str
    started_at_ms: int

    def completed(self, clip: CutResult, now_ms: int) -> ClipCompleted:
        """The clip is in the store, verified."""
        return ClipCompleted(
            **self._common("clip-completed", now_ms),
            uri=clip.path.resolve().as_uri(),
            sha256=clip.sha256,
            bytes=clip.bytes,
            frames=clip.frames,
            first_source_ms=clip.first_source_ms,
            last_source_ms=clip.last_source_ms,
            method=clip.method,
            isolation=clip.isolation,
            undrawn=clip.undrawn,
        )

    def failed(self, error: SourceError, now_ms: int) -> ClipAttemptFailed:
        """The candidate could not be cut this time."""
        return ClipAttemptFailed(
            **self._common("clip-attempt-failed", now_ms),
            reason=error.reason,
            error=str(error),
            retryable=error.retryable,
        )

    def as_past(self, error: SourceError) -> PastAttempt:
        """How the next attempt at this line remembers this one."""
        return PastAttempt(
            video_id=self.candidate.video_id,
            candidate_index=self.task.candidate_index,
            reason=error.reason,
            error=str(error),
        )

    def _common(self, event_type: str, now_ms: int) -> dict[str, Any]:
        task = self.task
        return {
            **clip_facts(task, self.ref, self.worker, self.config.version, now_ms),
            "event_id": derived_id(event_type, task.clip_task_id, task.candidate_index, task.attempt),
            "video_id": self.candidate.video_id,
            "candidate_index": task.candidate_index,
            "attempt": task.attempt,
            "parallel_slot": self.slot,
            "started_at_ms": self.started_at_ms,
            "finished_at_ms": max(now_ms, self.started_at_ms),
        }


def placeholder_inserted(
    task: ClipTask,
    reason: FallbackReason,
    attempts: tuple[PastAttempt, ...],
    clip: CutResult,
    ref: RecordRef,
    *,
    worker: str,
    config_version: int,
    now_ms: int,
) -> ClipPlaceholder:
    """The line shows a placeholder, for `reason` and after these attempts."""
    return ClipPlaceholder(
        **clip_facts(task, ref, worker, config_version, now_ms),
        event_id=derived_id("clip-placeholder", task.clip_task_id),
        fallback_reason=reason,
        attempts=attempts,
        uri=clip.path.resolve().as_uri(),
        sha256=clip.sha256,
        frames=clip.frames,
        undrawn=clip.undrawn,
    )


def clip_facts(
    task: ClipTask, ref: RecordRef, worker: str, config_version: int, now_ms: int
) -> dict[str, Any]:
    """What every event of a clip says of its task."""
    return {
        "mix_id": task.mix_id,
        "trace_id": task.trace_id,
        "caused_by": str(ref),
        "at_ms": now_ms,
        "clip_task_id": task.clip_task_id,
        "clip_index": task.clip_index,
        "worker": worker,
        "config_version": config_version,
    }
