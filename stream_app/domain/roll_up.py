"""Roll up the figures of a mix from its events; the same definitions as the projection's SQL."""

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from stream_app.domain.frames import round_half_up
from topics.events import AttemptEvent, ClipAttemptFailed, ClipCompleted, ClipOutcome, ClipPlaceholder
from topics.stats import ClipStats, VideoStats


def roll_up(attempts: Iterable[AttemptEvent], outcomes: Iterable[ClipOutcome]) -> ClipStats:
    """The figures of a mix from its effective attempts (each once) and each line's effective outcome."""
    tried = tuple(attempts)
    ended = tuple(outcomes)
    completed = [outcome for outcome in ended if isinstance(outcome, ClipCompleted)]
    placeholders = [outcome for outcome in ended if isinstance(outcome, ClipPlaceholder)]
    attempted_lines = {attempt.clip_task_id for attempt in tried}
    durations = sorted(
        attempt.finished_at_ms - attempt.started_at_ms
        for attempt in tried
        if isinstance(attempt, ClipCompleted)
    )
    reasons = Counter(placeholder.fallback_reason for placeholder in placeholders)
    return ClipStats(
        total_clips=len(ended),
        completed_tasks=len(completed),
        placeholder_tasks=len(placeholders),
        failed_tasks=sum(placeholder.clip_task_id in attempted_lines for placeholder in placeholders),
        attempts=len(tried),
        retries=len(tried) - len({(attempt.clip_task_id, attempt.candidate_index) for attempt in tried}),
        peak_parallelism=_peak_parallelism(tried),
        avg_clip_duration_ms=_average(durations),
        p95_clip_duration_ms=_p95(durations),
        fallback_reason_counts={reason: reasons[reason] for reason in sorted(reasons)},
        per_video=_per_video(tried),
        config_versions=tuple(sorted({event.config_version for event in (*tried, *ended)})),
    )


def _peak_parallelism(attempts: Iterable[AttemptEvent]) -> int:
    """Most attempts in progress at one moment, each over `[started, max(finished, started + 1))`."""
    changes = sorted(
        change
        for attempt in attempts
        for change in (
            (attempt.started_at_ms, 1),
            (max(attempt.finished_at_ms, attempt.started_at_ms + 1), -1),
        )
    )
    peak = running = 0
    for _, change in changes:
        running += change
        peak = max(peak, running)
    return peak


def _average(durations: Sequence[int]) -> int | None:
    return round_half_up(Fraction(sum(durations), len(durations))) if durations else None


def _p95(ascending: Sequence[int]) -> int | None:
    """The nearest rank: the smallest value that 95 % of all do not exceed."""
    return ascending[-(-95 * len(ascending) // 100) - 1] if ascending else None


def _per_video(attempts: Iterable[AttemptEvent]) -> dict[str, VideoStats]:
    totals: dict[str, Counter[str]] = {}
    for attempt in attempts:
        kind = "failed" if isinstance(attempt, ClipAttemptFailed) else "completed"
        totals.setdefault(attempt.video_id, Counter())[kind] += 1
    return {
        video_id: VideoStats(attempts=count.total(), completed=count["completed"], failed=count["failed"])
        for video_id, count in sorted(totals.items())
    }
