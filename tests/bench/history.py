"""A long log of events as clipfold writes them, made by hand: mixes of 20 lines, some of which go wrong."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from stream_app.kafka.record import Record
from topics.ids import RecordRef, derived_id
from topics.registry import MIX_EVENTS

START_MS = 1_800_000_000_000
LINES = 20
CLIP_MS = 350
PARTITIONS = MIX_EVENTS.partitions
HEADERS = (
    ("ce_type", b"clipfold.clip-completed.v1"),
    ("traceparent", b"00-" + b"ab" * 16 + b"-0123456789abcdef-01"),
)


def records(count: int) -> list[Record]:
    """So many records of `mix-events`: the mixes one after another, each on its own partition."""
    offsets = [0] * PARTITIONS
    found = []
    for mix_id, at_ms, value in islice(_events(), count):
        partition = int(mix_id.rpartition("-")[2]) % PARTITIONS
        ref = RecordRef(MIX_EVENTS.name, partition, offsets[partition])
        offsets[partition] += 1
        found.append(Record(ref, at_ms, mix_id.encode(), json.dumps(value).encode(), list(HEADERS)))
    return found


def _events() -> Iterator[tuple[str, int, dict[str, Any]]]:
    number = 0
    while True:
        yield from _mix(f"mix-{number:07}", START_MS + number * 10_000, unlucky=number % 10)
        number += 1


def _mix(mix_id: str, start_ms: int, unlucky: int) -> Iterator[tuple[str, int, dict[str, Any]]]:
    event = partial(_event, mix_id)
    tasks = [derived_id(mix_id, index) for index in range(LINES)]
    yield event("mix-accepted", start_ms, **_plan(tasks, start_ms))
    at_ms = start_ms
    for index, task in enumerate(tasks):
        at_ms += CLIP_MS
        if index == unlucky:
            yield event("clip-attempt-failed", at_ms, **_attempt(task, index, at_ms, 1), **_FAULT)
            at_ms += CLIP_MS
        if index == unlucky == 3:
            yield event("clip-placeholder", at_ms, **_placeholder(task, index))
        else:
            attempt = 2 if index == unlucky else 1
            yield event("clip-completed", at_ms, **_attempt(task, index, at_ms, attempt), **_clip(task))
    video = {"uri": f"file:///srv/mixes/{mix_id}/r1/video.mp4", "sha256": "d" * 64, "bytes": 25_000_000}
    yield event(
        "mix-rendered", at_ms, revision=1, **video, frames=LINES * 90, duration_ms=60_000, clip_stats={}
    )


def _event(mix_id: str, type_: str, at_ms: int, **fields: Any) -> tuple[str, int, dict[str, Any]]:
    head = {
        "type": type_,
        "event_id": derived_id(mix_id, type_, at_ms),
        "mix_id": mix_id,
        "trace_id": derived_id(mix_id).replace("-", ""),
        "caused_by": "clip-tasks/7/123456",
        "at_ms": at_ms,
    }
    return mix_id, at_ms, {**head, **fields}


def _plan(tasks: list[str], start_ms: int) -> dict[str, Any]:
    lines = [
        {
            "line_id": str(index + 1),
            "clip_task_id": task,
            "clip_index": index,
            "start_frame": index * 90,
            "frames": 90,
            "extend_frames": 0,
            "text": f"the words of line {index + 1}",
            "start_ms": index * 3000,
            "end_ms": index * 3000 + 3000,
            "candidates": [
                {
                    "video_id": f"v{index % 6}",
                    "uri": "https://cdn.example/v.mp4",
                    "start_ms": 1000,
                    "end_ms": 4000,
                }
            ],
        }
        for index, task in enumerate(tasks)
    ]
    return {
        "revision": 1,
        "submitted_at_ms": start_ms,
        "total_clips": len(tasks),
        "total_frames": 90 * len(tasks),
        "profile": {"width": 1280, "height": 720, "fps": "30", "fit": "crop", "quality": "standard"},
        "config_version": 3,
        "priority": 5,
        "content_digest": "0" * 64,
        "lines": lines,
    }


def _attempt(task: str, index: int, at_ms: int, attempt: int) -> dict[str, Any]:
    return {
        "clip_task_id": task,
        "clip_index": index,
        "video_id": f"v{index % 6}",
        "candidate_index": 0,
        "attempt": attempt,
        "worker": f"worker-{index % 2}",
        "parallel_slot": index % 4,
        "started_at_ms": at_ms - CLIP_MS * 2,
        "finished_at_ms": at_ms,
        "config_version": 3,
    }


def _clip(task: str) -> dict[str, Any]:
    return {
        "uri": f"file:///srv/clips/{task}.mp4",
        "sha256": "c" * 64,
        "bytes": 400_000,
        "frames": 90,
        "first_source_ms": 1000,
        "last_source_ms": 3966,
        "method": "reencode",
        "isolation": "bwrap+rlimits",
    }


def _placeholder(task: str, index: int) -> dict[str, Any]:
    return {
        "clip_task_id": task,
        "clip_index": index,
        "fallback_reason": "cdn_error",
        "attempts": [{"video_id": "v3", "reason": "cdn_error", "error": "the server said 503"}],
        "uri": "file:///srv/clips/black.mp4",
        "sha256": "b" * 64,
        "frames": 90,
        "worker": "worker-0",
        "config_version": 3,
    }


_FAULT = {"reason": "cdn_error", "error": "the server said 503", "retryable": True}
