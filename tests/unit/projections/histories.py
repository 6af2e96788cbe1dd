"""Write histories of mixes by hand, as records of the log."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_app.kafka.record import Record
from topics.ids import RecordRef, derived_id

START_MS = 1_800_000_000_000

_NO_FIGURES = {
    **dict.fromkeys(("total_clips", "completed_tasks", "placeholder_tasks", "failed_tasks", "attempts"), 0),
    **dict.fromkeys(("retries", "peak_parallelism"), 0),
    **dict.fromkeys(("avg_clip_duration_ms", "p95_clip_duration_ms")),
    "fallback_reason_counts": {},
    "per_video": {},
    "config_versions": [],
}


@dataclass
class Log:
    """Records in the order in which they were logged, with an offset for each partition."""

    records: list[Record] = field(default_factory=list)

    def append(
        self,
        value: Mapping[str, Any] | bytes | None,
        *,
        topic: str = "mix-events",
        partition: int = 0,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Record:
        offset = sum((r.ref.topic, r.ref.partition) == (topic, partition) for r in self.records)
        raw = json.dumps(value).encode() if isinstance(value, Mapping) else value
        ref = RecordRef(topic, partition, offset)
        record = Record(ref, START_MS + len(self.records), key, raw, list(headers))
        self.records.append(record)
        return record

    def config(
        self, value: Mapping[str, Any] | bytes | None, actor: str | None = None, **numbers: int
    ) -> Record:
        headers = [("actor", actor.encode())] if actor else []
        headers += [(name.replace("_", "-"), str(number).encode()) for name, number in numbers.items()]
        return self.append(value, topic="render-config", key=b"render", headers=headers)

    def mix(self, mix_id: str = "m1", partition: int = 0) -> "MixLog":
        return MixLog(self, mix_id, partition)


@dataclass
class MixLog:
    """Appends the events of one mix; times are ms after `START_MS`."""

    log: Log
    mix_id: str
    partition: int = 0

    def event(self, type_: str, at_ms: int, **fields: Any) -> Record:
        value = {
            "type": type_,
            "event_id": derived_id(type_, self.mix_id, at_ms, sorted(fields.items(), key=str)),
            "mix_id": self.mix_id,
            "trace_id": "ab" * 16,
            "caused_by": "mix-requests/0/0",
            "at_ms": START_MS + at_ms,
            **fields,
        }
        return self.log.append(value, partition=self.partition, key=self.mix_id.encode())

    def accepted(self, *tasks: str, revision: int = 1, at_ms: int = 0) -> Record:
        lines = [
            {
                "line_id": str(index + 1),
                "clip_task_id": task,
                "clip_index": index,
                "start_frame": index * 30,
                "frames": 30,
                "extend_frames": 5,
                "text": f"line {index + 1}",
                "start_ms": index * 1000,
                "end_ms": index * 1000 + 1000,
                "candidates": [],
            }
            for index, task in enumerate(tasks)
        ]
        return self.event(
            "mix-accepted",
            at_ms,
            revision=revision,
            submitted_at_ms=START_MS + at_ms,
            total_clips=len(tasks),
            total_frames=30 * len(tasks),
            profile={},
            config_version=3,
            priority=5,
            song=None,
            gaps={},
            subtitles={},
            content_digest="0" * 64,
            lines=lines,
        )

    def rejected(self, at_ms: int = 0, code: str = "mix_exists") -> Record:
        errors = [{"path": "/mix_id", "code": code, "message": f"it is {code}"}]
        return self.event("mix-rejected", at_ms, submitted_at_ms=START_MS + at_ms, errors=errors)

    def failed(
        self, task: str, start: int, end: int, *, video: str = "v1", reason: str = "cdn_error", **more: Any
    ) -> Record:
        fields = {"reason": reason, "error": "503", "retryable": True, **_attempt(task, start, end, video)}
        return self.event("clip-attempt-failed", end, **{**fields, **more})

    def completed(self, task: str, start: int, end: int, *, video: str = "v1", **more: Any) -> Record:
        fields = {
            "uri": f"file:///clips/{task}.mp4",
            "sha256": "c" * 64,
            "bytes": 1000,
            "frames": 35,
            "first_source_ms": 0,
            "last_source_ms": 1166,
            "method": "reencode",
            "isolation": "none",
            **_attempt(task, start, end, video),
        }
        return self.event("clip-completed", end, **{**fields, **more})

    def placeholder(self, task: str, at_ms: int, reason: str = "cdn_error", **more: Any) -> Record:
        fields = {
            "clip_task_id": task,
            "clip_index": 0,
            "fallback_reason": reason,
            "attempts": [],
            "uri": "file:///clips/black.mp4",
            "sha256": "b" * 64,
            "frames": 35,
            "worker": "w1",
            "config_version": 3,
        }
        return self.event("clip-placeholder", at_ms, **{**fields, **more})

    def rendered(self, at_ms: int, revision: int = 1) -> Record:
        return self.event(
            "mix-rendered",
            at_ms,
            revision=revision,
            uri=f"file:///mixes/{self.mix_id}/r{revision}/video.mp4",
            sha256="d" * 64,
            bytes=5000,
            frames=60,
            duration_ms=2000,
            clip_stats=_NO_FIGURES,
        )

    def ended(
        self, type_: str, at_ms: int, reason: str = "song_invalid", *, revision: int | None = 1
    ) -> Record:
        return self.event(type_, at_ms, revision=revision, reason=reason, message=f"because of {reason}")


def _attempt(task: str, start: int, end: int, video: str) -> dict[str, Any]:
    return {
        "clip_task_id": task,
        "clip_index": 0,
        "video_id": video,
        "candidate_index": 0,
        "attempt": 1,
        "worker": "w1",
        "parallel_slot": 0,
        "started_at_ms": START_MS + start,
        "finished_at_ms": START_MS + end,
        "config_version": 3,
    }
