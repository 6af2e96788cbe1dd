from stream_app.domain.attempts import fallback_reason, next_task
from stream_app.domain.intake import Asked, decide
from tests.unit.domain.requests import candidate, line, request
from topics.config import RenderClipConfig
from topics.ids import RecordRef
from topics.reasons import FallbackReason
from topics.tasks import ClipTask, PastAttempt

CONFIG = RenderClipConfig(max_retry=2, retry_backoff_ms=500)


def first_task(*videos: str) -> ClipTask:
    body = request(line(0, 1000, *map(candidate, videos)))
    asked = Asked(body, RecordRef("mix-requests", 0, 0), 0, "m1")
    (task,) = decide(asked, None, config_version=-1, now_ms=0).tasks
    return task


def failure(task: ClipTask, reason: FallbackReason = FallbackReason.CDN_ERROR) -> PastAttempt:
    assert task.candidate is not None
    return PastAttempt(
        video_id=task.candidate.video_id, candidate_index=task.candidate_index, reason=reason, error="e"
    )


def after(task: ClipTask, *, retryable: bool, config: RenderClipConfig = CONFIG) -> ClipTask | None:
    return next_task(task, failure(task), retryable=retryable, config=config, now_ms=1000)


def test_a_failure_that_may_pass_is_tried_again_later_and_later() -> None:
    task = first_task("a", "b")
    waits = []
    while (following := after(task, retryable=True)) and following.candidate_index == 0:
        waits.append(following.not_before_ms - 1000)
        task = following
    assert waits == [500, 1000]
    assert task.attempt == 3
    assert following is not None
    assert (following.key, following.attempt, following.not_before_ms) == ("b", 1, 0)
    assert len(following.attempts) == 3


def test_a_failure_that_will_not_pass_goes_on_to_the_next_candidate() -> None:
    following = after(first_task("a", "b"), retryable=False)
    assert following is not None
    assert (following.key, following.candidate_index, following.attempt) == ("b", 1, 1)
    assert [past.video_id for past in following.attempts] == ["a"]
    assert after(following, retryable=False) is None


def test_no_retries_when_the_config_allows_none() -> None:
    following = after(first_task("a"), retryable=True, config=RenderClipConfig(max_retry=0))
    assert following is None


def test_a_line_is_told_by_the_last_try_at_its_best_candidate() -> None:
    task = first_task("a", "b")
    best = failure(task, FallbackReason.CDN_ERROR)
    later = failure(task, FallbackReason.CUT_FAILED)
    other = best.model_copy(update={"candidate_index": 1, "reason": FallbackReason.SOURCE_MISSING})
    assert fallback_reason((best, later, other)) == FallbackReason.CUT_FAILED
    assert fallback_reason(()) == FallbackReason.NO_CANDIDATES
