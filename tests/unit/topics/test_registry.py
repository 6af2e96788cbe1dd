import inspect
from collections import Counter
from typing import get_args

import pytest
from pydantic import BaseModel

from topics import config, events, requests, tasks
from topics.codec import MAX_RECORD_BYTES
from topics.config import CONFIG_KEY, DEFAULT_VERSION, RenderClipConfig
from topics.events import AnyMixEvent, MixEvent
from topics.registry import (
    CLIP_TASKS,
    DEAD_LETTERS,
    MAX_MESSAGE_BYTES,
    MIX_EVENTS,
    MIX_REQUESTS,
    RENDER_CONFIG,
    TOPICS,
    Topic,
)

LOGS = (MIX_REQUESTS, CLIP_TASKS, MIX_EVENTS, DEAD_LETTERS)


def test_names_and_keys() -> None:
    assert {topic.name: topic.key for topic in TOPICS} == {
        "mix-requests": "mix_id",
        "clip-tasks": "video_id of the candidate to try",
        "mix-events": "mix_id",
        "render-config": "render",
        "dead-letters": "original key",
    }
    assert RENDER_CONFIG.key == CONFIG_KEY


def test_names_are_neither_doubled_nor_kafkas_own() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    # Kafka confuses a.b with a_b in metrics and keeps names that begin with __ for itself.
    assert all(not set(topic.name) & set("._") for topic in TOPICS)


def test_every_record_model_is_in_exactly_one_topic() -> None:
    listed = Counter(model for topic in TOPICS for model in topic.models)
    with_type = {
        model
        for module in (requests, tasks, events, config)
        for _, model in inspect.getmembers(module, inspect.isclass)
        if issubclass(model, BaseModel) and model is not MixEvent and "type" in model.model_fields
    }
    abstract = {events.ClipEvent, events.AttemptEvent}
    assert set(listed) == (with_type - abstract) | {RenderClipConfig}
    assert set(listed.values()) == {1}


def test_the_log_holds_what_its_readers_read() -> None:
    union, *_ = get_args(AnyMixEvent)
    assert set(MIX_EVENTS.models) == set(get_args(union))


def test_requests_and_events_of_a_mix_share_a_partition_number() -> None:
    assert MIX_REQUESTS.partitions == MIX_EVENTS.partitions


def test_state_and_quarantine_have_one_partition() -> None:
    assert RENDER_CONFIG.partitions == DEAD_LETTERS.partitions == 1


@pytest.mark.parametrize("topic", LOGS, ids=lambda topic: topic.name)
def test_logs_are_kept_for_ever(topic: Topic) -> None:
    assert topic.configs["retention.ms"] == "-1"
    assert topic.configs["cleanup.policy"] == "delete"


def test_only_the_config_is_compacted() -> None:
    assert [topic.name for topic in TOPICS if "compact" in topic.configs["cleanup.policy"]] == [
        "render-config"
    ]
    assert RENDER_CONFIG.configs["cleanup.policy"] == "compact"
    assert {
        "segment.ms",
        "max.compaction.lag.ms",
        "min.cleanable.dirty.ratio",
    } <= RENDER_CONFIG.configs.keys()


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_records_of_16_mib_fit(topic: Topic) -> None:
    assert MAX_RECORD_BYTES == 16 * 1024 * 1024
    assert topic.configs["max.message.bytes"] == str(MAX_MESSAGE_BYTES)
    assert MAX_MESSAGE_BYTES > MAX_RECORD_BYTES


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_somebody_writes_and_somebody_reads(topic: Topic) -> None:
    assert topic.writers
    assert topic.readers
    assert all(isinstance(value, str) for value in topic.configs.values())


def test_the_config_has_the_limits_of_the_contract() -> None:
    assert RenderClipConfig().model_dump() == {
        "max_parallelism": 4,
        "per_video_limit": 2,
        "max_retry": 2,
        "placeholder_asset_path": "media/fallback/clip_placeholder.mp4",
        "clip_timeout_ms": 120_000,
        "retry_backoff_ms": 500,
    }
    assert DEFAULT_VERSION == -1


@pytest.mark.parametrize(
    "body",
    [
        '{"max_parallelism":0}',
        '{"max_parallelism":65}',
        '{"per_video_limit":0}',
        '{"per_video_limit":65}',
        '{"max_retry":-1}',
        '{"max_retry":11}',
        '{"max_parallelism":"4"}',
        '{"max_parallelism":4.5}',
        '{"paralelism":4}',
    ],
)
def test_a_config_beyond_its_limits_is_refused(body: str) -> None:
    field = body.split('"')[1]
    with pytest.raises(ValueError, match=field):
        RenderClipConfig.model_validate_json(body)
