from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.attempts import next_task
from stream_app.domain.errors import SourceError
from topics.config import RenderClipConfig
from topics.profile import RenderProfile
from topics.reasons import FallbackReason
from topics.requests import Candidate
from topics.tasks import ClipTask, PastAttempt

CONFIG = RenderClipConfig(max_retry=2, retry_backoff_ms=1000)
NOW = 5_000


def first_task(*videos: str, **changes: Any) -> ClipTask:
    facts = {
        "event_id": "e",
        "mix_id": "m1",
        "trace_id": "0" * 31 + "1",
        "caused_by": "t/0/0",
        "at_ms": 0,
        "clip_task_id": "c",
        "clip_index": 0,
        "line_id": "1",
        "priority": 5,
        "profile": RenderProfile(),
        "frames": 30,
        "extend_frames": 0,
        "candidates": tuple(Candidate(video_id=video, uri="a.mp4", start_ms=0) for video in videos),
    }
    return ClipTask(**{**facts, **changes})


def after(
    task: ClipTask,
    *,
    reason: FallbackReason = FallbackReason.CDN_ERROR,
    retryable: bool = False,
    retry_after_ms: int = 0,
    config: RenderClipConfig = CONFIG,
    now_ms: int = NOW,
) -> ClipTask | FallbackReason:
    assert task.candidate is not None
    failure = PastAttempt(
        video_id=task.candidate.video_id, candidate_index=task.candidate_index, reason=reason, error="e"
    )
    error = SourceError(reason, "e", stage="fetch", retryable=retryable, retry_after_ms=retry_after_ms)
    return next_task(task, failure, error, config=config, now_ms=now_ms)


def task_after(task: ClipTask, **outcome: Any) -> ClipTask:
    following = after(task, **outcome)
    assert isinstance(following, ClipTask)
    return following


def test_a_failure_that_may_pass_is_tried_again_later_and_later() -> None:
    task = first_task("a", "b")
    waits = []
    while (following := task_after(task, retryable=True)).candidate_index == 0:
        waits.append(following.not_before_ms - NOW)
        task = following
    first, second = waits
    assert 750 <= first <= 1250
    assert 1500 <= second <= 2500
    assert task.attempt == 3
    assert (following.key, following.attempt, following.not_before_ms) == ("b", 1, 0)
    assert len(following.attempts) == 3


@given(st.text(), st.integers(0, 5))
def test_lines_that_failed_together_come_back_apart_and_always_at_the_same_time(
    name: str, retry: int
) -> None:
    task = first_task("a", clip_task_id=name, attempt=1 + retry)
    config = RenderClipConfig(max_retry=10, retry_backoff_ms=1000)
    wait = task_after(task, retryable=True, config=config).not_before_ms - NOW
    assert 750 * 2**retry <= wait <= 1250 * 2**retry
    assert task_after(task, retryable=True, config=config).not_before_ms - NOW == wait


def test_the_waits_of_many_lines_are_spread() -> None:
    tasks = (first_task("a", clip_task_id=f"c{number}") for number in range(200))
    waits = {task_after(task, retryable=True).not_before_ms for task in tasks}
    assert len(waits) > 100


def test_a_server_that_asks_for_a_longer_wait_is_heard_and_a_shorter_one_changes_nothing() -> None:
    task = first_task("a")
    assert task_after(task, retryable=True, retry_after_ms=60_000).not_before_ms == NOW + 60_000
    assert task_after(task, retryable=True, retry_after_ms=1) == task_after(task, retryable=True)


def test_a_failure_that_will_not_pass_goes_on_to_the_next_candidate() -> None:
    following = task_after(first_task("a", "b"))
    assert (following.key, following.candidate_index, following.attempt) == ("b", 1, 1)
    assert [past.video_id for past in following.attempts] == ["a"]


def test_no_retries_when_the_config_allows_none() -> None:
    config = RenderClipConfig(max_retry=0)
    assert after(first_task("a"), retryable=True, config=config) is FallbackReason.CDN_ERROR


def test_a_line_is_told_by_the_last_try_at_its_best_candidate() -> None:
    again = task_after(first_task("a", "b"), retryable=True, reason=FallbackReason.CDN_ERROR)
    other = task_after(again, reason=FallbackReason.CUT_FAILED)
    assert after(other, reason=FallbackReason.SOURCE_MISSING) is FallbackReason.CUT_FAILED


def test_an_attempt_that_the_deadline_ended_is_the_last_one() -> None:
    task = first_task("a", "b", deadline_at_ms=NOW)
    # Even if the clock that ended it runs a little ahead of the one that is asked here.
    ended = after(task, reason=FallbackReason.DEADLINE_EXCEEDED, now_ms=NOW - 1)
    assert ended is FallbackReason.DEADLINE_EXCEEDED


def test_time_that_is_up_while_something_is_left_to_try_is_the_reason() -> None:
    assert after(first_task("a", "b", deadline_at_ms=NOW)) is FallbackReason.DEADLINE_EXCEEDED
    assert after(first_task("a", deadline_at_ms=NOW), retryable=True) is FallbackReason.DEADLINE_EXCEEDED
    assert after(first_task("a", deadline_at_ms=NOW)) is FallbackReason.CDN_ERROR


def test_no_retry_is_sent_that_would_come_after_the_deadline() -> None:
    soon = {"deadline_at_ms": NOW + 60_000}
    assert task_after(first_task("a", **soon), retryable=True).candidate_index == 0
    slow = {"retryable": True, "retry_after_ms": 60_000}
    assert task_after(first_task("a", "b", **soon), **slow).key == "b"
    assert after(first_task("a", **soon), **slow) is FallbackReason.CDN_ERROR
