"""clip_stats, computed anew from raw events by the sentences of the contract."""

from typing import Any

from story import Story, kind, outcomes_in, tried_in, value


def figures_of(story: Story, before: int | None = None) -> dict[str, Any]:
    """The figures of a mix; `before`: from the events before that offset only."""
    outcomes, tried = story.outcomes, story.tried
    if before is not None:
        planned = {line["clip_task_id"] for line in story.lines}
        events = [
            event
            for event in story.events
            if event.offset < before and value(event).get("clip_task_id") in planned
        ]
        outcomes, tried = outcomes_in(events), tried_in(events)
    ended = [value(event) for event in outcomes.values()]
    attempts = [value(event) for event in tried]
    placeholders = [event for event in ended if event["type"] == "clip-placeholder"]
    lines_tried = {attempt["clip_task_id"] for attempt in attempts}
    durations = sorted(
        attempt["finished_at_ms"] - attempt["started_at_ms"]
        for attempt in attempts
        if attempt["type"] == "clip-completed"
    )
    return {
        "total_clips": len(ended),
        "completed_tasks": len(ended) - len(placeholders),
        "placeholder_tasks": len(placeholders),
        "failed_tasks": sum(each["clip_task_id"] in lines_tried for each in placeholders),
        "attempts": len(attempts),
        "retries": len(attempts)
        - len({(each["clip_task_id"], each["candidate_index"]) for each in attempts}),
        "peak_parallelism": _peak(attempts),
        "avg_clip_duration_ms": (2 * sum(durations) + len(durations)) // (2 * len(durations))
        if durations
        else None,
        "p95_clip_duration_ms": durations[(95 * len(durations) + 99) // 100 - 1] if durations else None,
        "fallback_reason_counts": _counted(each["fallback_reason"] for each in placeholders),
        "per_video": _per_video(attempts),
        "config_versions": sorted({each["config_version"] for each in [*attempts, *ended]}),
    }


def status_of(story: Story) -> str:
    if story.end is None:
        return "rendering"
    return kind(story.end).removeprefix("mix-")


def _peak(attempts: list[dict[str, Any]]) -> int:
    spans = [
        (each["started_at_ms"], max(each["finished_at_ms"], each["started_at_ms"] + 1)) for each in attempts
    ]
    return max((sum(begun <= moment < done for begun, done in spans) for moment, _ in spans), default=0)


def _counted(names: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _per_video(attempts: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    videos: dict[str, dict[str, int]] = {}
    for each in attempts:
        figures = videos.setdefault(each["video_id"], {"attempts": 0, "completed": 0, "failed": 0})
        figures["attempts"] += 1
        figures["completed" if each["type"] == "clip-completed" else "failed"] += 1
    return videos
