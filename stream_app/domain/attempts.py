"""What follows a failed attempt: another try, the next candidate, or the placeholder."""

from topics.config import RenderClipConfig
from topics.reasons import FallbackReason
from topics.tasks import ClipTask, PastAttempt

MAX_BACKOFF_DOUBLINGS = 10


def next_task(
    task: ClipTask, failure: PastAttempt, *, retryable: bool, config: RenderClipConfig, now_ms: int
) -> ClipTask | None:
    """The task to send after `failure`; `None` when nothing is left to try.

    The same candidate again, later, while the failure may pass and retries are left; else the next
    candidate at once. The caller gives the new task its `event_id`, cause and time of sending.
    """
    attempts = (*task.attempts, failure)
    if retryable and task.attempt <= config.max_retry:
        doublings = min(task.attempt - 1, MAX_BACKOFF_DOUBLINGS)
        wait_ms = config.retry_backoff_ms * 2**doublings
        return task.model_copy(
            update={"attempt": task.attempt + 1, "attempts": attempts, "not_before_ms": now_ms + wait_ms}
        )
    if task.candidate_index + 1 < len(task.candidates):
        return task.model_copy(
            update={
                "candidate_index": task.candidate_index + 1,
                "attempt": 1,
                "attempts": attempts,
                "not_before_ms": 0,
            }
        )
    return None


def fallback_reason(attempts: tuple[PastAttempt, ...]) -> FallbackReason:
    """Why the line shows a placeholder: what the last try at its best candidate ended in."""
    best = [attempt for attempt in attempts if attempt.candidate_index == 0]
    return best[-1].reason if best else FallbackReason.NO_CANDIDATES
