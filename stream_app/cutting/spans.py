"""The spans of a task: its wait and work, the attempt in it with its parts, the placeholder."""

from collections.abc import Iterator, Sequence

from stream_app.cutting.facts import Attempt
from stream_app.cutting.phases import Phase
from stream_app.telemetry.tracing import Span
from topics.events import ClipAttemptFailed, ClipCompleted, ClipPlaceholder
from topics.ids import derived_id, span_id_of
from topics.tasks import ClipTask


def task_span(task: ClipTask, now_ms: int) -> Span:
    """A task, from when it was queued until all that followed from it was in Kafka."""
    facts = {
        **_about(task),
        "candidate_index": task.candidate_index,
        "attempt": task.attempt,
        "priority": task.priority,
        "not_before_ms": task.not_before_ms or None,
    }
    return Span(
        "task",
        task.trace_id,
        span_id_of(task.event_id),
        span_id_of(_asked_by(task)),
        task.at_ms,
        now_ms,
        facts,
        is_from_kafka=True,
    )


def attempt_spans(
    attempt: Attempt, event: ClipCompleted | ClipAttemptFailed, phases: Sequence[Phase], now_ms: int
) -> Iterator[Span]:
    """An attempt, from its slot until its event was in Kafka, and its parts."""
    task, span_id = attempt.task, span_id_of(event.event_id)
    failed = event if isinstance(event, ClipAttemptFailed) else None
    facts = {
        **_about(task),
        "video_id": event.video_id,
        "candidate_index": event.candidate_index,
        "attempt": event.attempt,
        "parallel_slot": event.parallel_slot,
        "worker": event.worker,
        "config_version": event.config_version,
        **_result(event),
    }
    error = failed.error if failed else None
    yield Span(
        "attempt",
        task.trace_id,
        span_id,
        span_id_of(task.event_id),
        event.started_at_ms,
        now_ms,
        facts,
        error,
    )
    for number, phase in enumerate(phases):
        was_last = number == len(phases) - 1
        yield Span(
            phase.name,
            task.trace_id,
            span_id_of(derived_id("span", event.event_id, number)),
            span_id,
            phase.start_ms,
            phase.end_ms,
            {"mix_id": task.mix_id, "video_id": event.video_id},
            error if was_last else None,
        )


def placeholder_span(task: ClipTask, event: ClipPlaceholder, start_ms: int, now_ms: int) -> Span:
    """The making of a placeholder, until its event was in Kafka."""
    facts = {
        **_about(task),
        "fallback_reason": event.fallback_reason.value,
        "attempts": len(event.attempts),
        "frames": event.frames,
        "worker": event.worker,
        "config_version": event.config_version,
    }
    parent_id = span_id_of(task.event_id)
    return Span("placeholder", task.trace_id, span_id_of(event.event_id), parent_id, start_ms, now_ms, facts)


def _about(task: ClipTask) -> dict[str, str | int]:
    return {"mix_id": task.mix_id, "clip_task_id": task.clip_task_id, "clip_index": task.clip_index}


def _result(event: ClipCompleted | ClipAttemptFailed) -> dict[str, str | int]:
    if isinstance(event, ClipAttemptFailed):
        return {"reason": event.reason.value, "retryable": event.retryable}
    return {"frames": event.frames, "bytes": event.bytes, "method": event.method}


def _asked_by(task: ClipTask) -> str:
    """The event that a task follows from: the plan of its mix, or for a further try the task before it."""
    if not task.attempts:
        return derived_id("mix-accepted", task.caused_by)
    candidate = task.attempts[-1].candidate_index
    tries = sum(attempt.candidate_index == candidate for attempt in task.attempts)
    return derived_id("clip-task", task.clip_task_id, candidate, tries)
