"""A mix that is cancelled or out of time, in a whole worker: nothing of it is cut any more or hangs."""

import time
from typing import Any

from tests.integration.cutting.sandboxes import left_behind
from tests.integration.render.conftest import SLOTS, Stack
from tests.integration.render.roles import wait_until


def fresh(request: dict[str, Any], mix_id: str, width: int, **changes: Any) -> dict[str, Any]:
    """The slow case in a size of its own, so that no clip of it is in the store already."""
    profile = {"width": width, "height": 720, "fps": "30", "quality": "high"}
    return {**request, "mix_id": mix_id, "profile": profile, "song": None, **changes}


def total(metrics: dict[str, float], name: str) -> float:
    return sum(value for key, value in metrics.items() if key.startswith(name))


def assert_each_attempt_has_its_last_line(stack: Stack, story: list[dict[str, Any]]) -> None:
    lines = [line for line in stack.worker.lines() if line.get("mix_id") == "unwanted"]
    assert {line["trace_id"] for line in lines if line["event"] != "intake.decided"} <= {
        event["trace_id"] for event in story
    }

    def clips(event: str) -> list[str]:
        return [line["clip_task_id"] for line in lines if line["event"] == event]

    begun = clips("twelvelabs.video_clip")
    completed, dropped = clips("render_worker.clip_task_completed"), clips("render_worker.clip_task_dropped")
    assert len(begun) < 60
    assert len(set(begun)) == len(begun)
    assert sorted(begun) == sorted(completed + dropped)
    (ended,) = (line for line in lines if line["event"] == "render_worker.mix_ended")
    assert (ended["result"], ended["reason"], ended["lines"]) == ("mix-cancelled", "requested", 60)
    assert 2 <= ended["completed_tasks"] <= sum(event["type"] == "clip-completed" for event in story)
    (tasks,) = (line for line in lines if line["event"] == "render_worker.tasks_dropped")
    assert tasks["running"] == len(dropped) <= SLOTS
    assert tasks["running"] < tasks["tasks"] <= 60 - len(completed)


def test_a_cancelled_mix_stops_within_two_seconds(stack: Stack, slow_case: dict[str, Any]) -> None:
    def is_at_rest() -> bool:
        now = stack.worker.metrics()
        return total(now, "render_clip_inflight") == total(now, "render_tasks_waiting") == 0

    stack.submit(fresh(slow_case, "unwanted", 1276))
    stack.worker.wait_for("render_worker.clip_task_completed", mix_id="unwanted", count=2)
    stack.submit({"type": "mix-cancel", "mix_id": "unwanted"})
    wait_until(is_at_rest, "nothing runs and nothing waits")
    rested_at_ms = time.time() * 1000

    story = stack.events("unwanted")
    (cancelled,) = (event for event in story if event["type"] == "mix-cancelled")
    assert rested_at_ms - cancelled["at_ms"] < 2000
    assert sum(event["type"] == "clip-completed" for event in story) < 60
    assert not any(event["type"] == "clip-placeholder" for event in story)
    assert_each_attempt_has_its_last_line(stack, story)

    wait_until(lambda: not left_behind(stack.artifacts / "clips"), "its files are gone")
    assert not (stack.artifacts / "render_tmp" / "job_unwanted").exists()
    lag = 'render_consumer_lag{group="clipfold-cutter"}'
    wait_until(lambda: stack.worker.metrics()[lag] == 0, "its tasks are committed")


def test_a_mix_whose_time_is_up_is_rendered_with_what_there_is(
    stack: Stack, slow_case: dict[str, Any]
) -> None:
    before = stack.worker.metrics()
    stack.submit(fresh(slow_case, "in-a-hurry", 1278, deadline_ms=4000))
    stack.wait_for_end("in-a-hurry")

    story = stack.events("in-a-hurry")
    assert story[-1]["type"] == "mix-rendered"
    stats = story[-1]["clip_stats"]
    missed = stats["placeholder_tasks"]
    assert missed > 0
    assert stats["completed_tasks"] + missed == stats["total_clips"] == 60
    assert stats["fallback_reason_counts"] == {"deadline_exceeded": missed}
    ended = [event for event in story if event["type"] == "clip-attempt-failed"]
    assert {event["reason"] for event in ended} == {"deadline_exceeded"}
    after = stack.worker.metrics()
    for name, count in (("placeholder", missed), ("failures", len(ended))):
        metric = f'render_clip_{name}_total{{reason="deadline_exceeded"}}'
        assert after[metric] - before.get(metric, 0) == count
