"""Short ways to tell the events of one mix."""

from typing import Any

from topics.events import (
    ClipAttemptFailed,
    ClipCompleted,
    ClipPlaceholder,
    MixAccepted,
    MixRendered,
    PlannedLine,
)
from topics.profile import RenderProfile
from topics.reasons import FallbackReason
from topics.requests import Gaps, Subtitles
from topics.stats import ClipStats

SHA = "a" * 64
COMMON: dict[str, Any] = {
    "event_id": "e",
    "mix_id": "m1",
    "trace_id": "0" * 31 + "1",
    "caused_by": "t/0/0",
    "at_ms": 0,
}
CLIP: dict[str, Any] = {**COMMON, "clip_index": 0, "worker": "w", "config_version": 3}
ATTEMPT: dict[str, Any] = {**CLIP, "candidate_index": 0, "attempt": 1, "parallel_slot": 0}


def accepted(*tasks: str, revision: int = 1) -> MixAccepted:
    lines = tuple(
        PlannedLine(
            line_id=str(index),
            clip_task_id=task,
            clip_index=index,
            start_frame=30 * index,
            frames=30,
            extend_frames=0,
            text="",
            start_ms=1000 * index,
            end_ms=1000 * index + 1000,
            candidates=(),
        )
        for index, task in enumerate(tasks)
    )
    return MixAccepted(
        **COMMON,
        revision=revision,
        submitted_at_ms=0,
        total_clips=len(lines),
        total_frames=30 * len(lines),
        profile=RenderProfile(),
        config_version=3,
        priority=5,
        song=None,
        gaps=Gaps(),
        subtitles=Subtitles(),
        content_digest=SHA,
        lines=lines,
    )


def completed(
    task: str, started: int = 0, finished: int = 100, video: str = "v", **changes: Any
) -> ClipCompleted:
    facts = {
        **ATTEMPT,
        "clip_task_id": task,
        "video_id": video,
        "started_at_ms": started,
        "finished_at_ms": finished,
        "uri": "file:///c.mp4",
        "sha256": SHA,
        "bytes": 1,
        "frames": 30,
        "first_source_ms": 0,
        "last_source_ms": 967,
        "method": "test",
        "isolation": "none",
    }
    return ClipCompleted(**{**facts, **changes})


def failed(
    task: str, started: int = 0, finished: int = 100, video: str = "v", **changes: Any
) -> ClipAttemptFailed:
    facts = {
        **ATTEMPT,
        "clip_task_id": task,
        "video_id": video,
        "started_at_ms": started,
        "finished_at_ms": finished,
        "reason": FallbackReason.SOURCE_MISSING,
        "error": "gone",
        "retryable": False,
    }
    return ClipAttemptFailed(**{**facts, **changes})


def placeholder(task: str, reason: FallbackReason = FallbackReason.NO_CANDIDATES) -> ClipPlaceholder:
    return ClipPlaceholder(
        **CLIP,
        clip_task_id=task,
        fallback_reason=reason,
        attempts=(),
        uri="file:///p.mp4",
        sha256=SHA,
        frames=30,
    )


def rendered(stats: ClipStats, revision: int = 1) -> MixRendered:
    return MixRendered(
        **COMMON,
        revision=revision,
        uri="file:///v.mp4",
        sha256=SHA,
        bytes=1,
        frames=30,
        duration_ms=1000,
        clip_stats=stats,
    )
