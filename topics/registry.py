"""Every topic of clipfold, in one table: topics are created, verified, documented and drawn from it."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from topics.codec import MAX_RECORD_BYTES
from topics.config import RenderClipConfig
from topics.events import (
    ClipAttemptFailed,
    ClipCompleted,
    ClipPlaceholder,
    MixAccepted,
    MixCancelled,
    MixFailed,
    MixRejected,
    MixRendered,
)
from topics.requests import MixCancel, MixRequest, MixRevise
from topics.tasks import ClipTask

MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 2**20
"""What topics, producers and consumers allow: a record's largest value, and room for key and headers."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: what it is for, what it holds, and how Kafka must keep it."""

    name: str
    key: str
    holds: str
    partitions: int
    cleanup_policy: Literal["delete", "compact"]
    models: tuple[type[BaseModel], ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    extra_configs: dict[str, str] = field(default_factory=dict)

    @property
    def configs(self) -> dict[str, str]:
        """The broker settings that the topic is created with and verified against.

        Retention is said aloud: Kafka's default of 168 h would forget the log after a week.
        """
        return {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": "-1",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            **self.extra_configs,
        }


MIX_REQUESTS = Topic(
    name="mix-requests",
    key="mix_id",
    holds="commands, kept: what users ask",
    partitions=8,
    cleanup_policy="delete",
    models=(MixRequest, MixCancel, MixRevise),
    # Intake moves a request that a foreign partitioner misplaced to the partition of its mix.
    writers=("people", "api", "intake"),
    readers=("intake",),
)
CLIP_TASKS = Topic(
    name="clip-tasks",
    key="video_id of the candidate to try",
    holds="work queue: one record per attempt to be made",
    partitions=16,
    cleanup_policy="delete",
    models=(ClipTask,),
    writers=("intake", "cutter"),
    readers=("cutter",),
)
MIX_EVENTS = Topic(
    name="mix-events",
    key="mix_id",
    holds="the event log, kept for ever: every fact of every mix, in order per mix",
    partitions=MIX_REQUESTS.partitions,
    cleanup_policy="delete",
    models=(
        MixAccepted,
        MixRejected,
        ClipAttemptFailed,
        ClipCompleted,
        ClipPlaceholder,
        MixRendered,
        MixFailed,
        MixCancelled,
    ),
    writers=("intake", "cutter", "assembler"),
    readers=("intake", "cutter", "assembler", "projection", "people"),
)
RENDER_CONFIG = Topic(
    name="render-config",
    key="render",
    holds="compacted state: the render config; its version is the record's offset",
    partitions=1,
    cleanup_policy="compact",
    models=(RenderClipConfig,),
    writers=("people", "api", "serve"),
    readers=("intake", "cutter", "api", "serve", "projection"),
    # The active segment is never compacted: small segments let old configs go.
    extra_configs={
        "segment.ms": "600000",
        "max.compaction.lag.ms": "3600000",
        "min.cleanable.dirty.ratio": "0.01",
    },
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    key="original key",
    holds="quarantine: original bytes untouched, why and where from in headers",
    partitions=1,
    cleanup_policy="delete",
    models=(),
    writers=("intake", "cutter", "serve"),
    readers=("people",),
)

TOPICS = (MIX_REQUESTS, CLIP_TASKS, MIX_EVENTS, RENDER_CONFIG, DEAD_LETTERS)
