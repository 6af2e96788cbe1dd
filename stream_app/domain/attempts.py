"""What follows a failed attempt: another try, the next candidate, or the placeholder."""

from hashlib import sha256

from stream_app.domain.errors import SourceError
from topics.config import RenderClipConfig
from topics.reasons import FallbackReason
from topics.tasks import ClipTask, PastAttempt

MAX_BACKOFF_DOUBLINGS = 10
JITTER_PERMILLE = 250
"""A wait is longer or shorter by up to a quarter: lines that failed together do not come back together."""


def next_task(
    task: ClipTask, failure: PastAttempt, error: SourceError, *, config: RenderClipConfig, now_ms: int
) -> ClipTask | FallbackReason:
    """The task to send after `failure`, or the reason that the placeholder gives when there is none to send.

    The same candidate again, later, while the failure may pass, retries are left and the wait ends before
    the mix's deadline; else the next candidate, at once. The wait doubles with each retry and is never
    shorter than `error.retry_after_ms`. The caller gives the new task its `event_id`, cause and time of
    sending.

    The reason is `deadline_exceeded` when the mix's time is up: the attempt was ended by it, or something was
    left to try. A line that ran out of candidates before that says what its best-ranked one ended in, even
    when another try at that one was only given up because its wait would have been too long.
    """
    attempts = (*task.attempts, failure)
    if error.reason is FallbackReason.DEADLINE_EXCEEDED:
        return error.reason
    retry = _retry(task, attempts, error, config, now_ms)
    candidate = _next_candidate(task, attempts)
    if is_overdue(task, now_ms) and (retry or candidate):
        return FallbackReason.DEADLINE_EXCEEDED
    if retry and not is_overdue(task, retry.not_before_ms):
        return retry
    return candidate or _reason_of_the_best(attempts)


def is_overdue(task: ClipTask, now_ms: int) -> bool:
    """Whether the time of the task's mix is up."""
    return task.deadline_at_ms is not None and task.deadline_at_ms <= now_ms


def _retry(
    task: ClipTask,
    attempts: tuple[PastAttempt, ...],
    error: SourceError,
    config: RenderClipConfig,
    now_ms: int,
) -> ClipTask | None:
    if not error.retryable or task.attempt > config.max_retry:
        return None
    wait_ms = max(_backoff_ms(task, config), error.retry_after_ms)
    return task.model_copy(
        update={"attempt": task.attempt + 1, "attempts": attempts, "not_before_ms": now_ms + wait_ms}
    )


def _backoff_ms(task: ClipTask, config: RenderClipConfig) -> int:
    """The wait before the next try. Its jitter is a function of the task: sent again, it says the same."""
    wait_ms = config.retry_backoff_ms << min(task.attempt - 1, MAX_BACKOFF_DOUBLINGS)
    drawn = int.from_bytes(
        sha256(f"{task.clip_task_id}/{task.candidate_index}/{task.attempt}".encode()).digest()[:4]
    )
    permille = 1000 - JITTER_PERMILLE + drawn % (2 * JITTER_PERMILLE + 1)
    return wait_ms * permille // 1000


def _next_candidate(task: ClipTask, attempts: tuple[PastAttempt, ...]) -> ClipTask | None:
    if task.candidate_index + 1 >= len(task.candidates):
        return None
    return task.model_copy(
        update={
            "candidate_index": task.candidate_index + 1,
            "attempt": 1,
            "attempts": attempts,
            "not_before_ms": 0,
        }
    )


def _reason_of_the_best(attempts: tuple[PastAttempt, ...]) -> FallbackReason:
    """What the last try at the best-ranked candidate ended in; attempts are told oldest first."""
    best = min(attempt.candidate_index for attempt in attempts)
    return [attempt.reason for attempt in attempts if attempt.candidate_index == best][-1]
