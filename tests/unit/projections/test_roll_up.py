from datetime import timedelta

import pytest

from projections.store import Store
from tests.unit.projections.histories import START_MS, Log
from tests.unit.projections.reading import row, rows, stats, told
from topics.config import RenderClipConfig


def test_every_figure_of_a_mix_with_retries_fallthrough_and_placeholders(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a", "b", "c", "d")
    mix.failed("a", 0, 100)
    mix.failed("b", 50, 150, video="v2", reason="source_missing", retryable=False)
    mix.completed("a", 200, 1201, attempt=2)
    mix.completed("b", 100, 400, video="v3", candidate_index=1, config_version=5)
    mix.failed("c", 400, 500, video="v2", reason="source_too_short")
    mix.placeholder("c", 510, "source_too_short")
    mix.placeholder("d", 520, "no_candidates", config_version=-1)
    mix.rendered(2000)
    told(store, log.records)

    assert stats(store) == {
        "total_clips": 4,
        "completed_tasks": 2,
        "placeholder_tasks": 2,
        "failed_tasks": 1,
        "attempts": 5,
        "retries": 1,
        "peak_parallelism": 2,
        "avg_clip_duration_ms": 651,  # (1001 + 300) / 2 = 650.5, half up
        "p95_clip_duration_ms": 1001,
        "fallback_reason_counts": {"no_candidates": 1, "source_too_short": 1},
        "per_video": {
            "v1": {"attempts": 2, "completed": 1, "failed": 1},
            "v2": {"attempts": 2, "completed": 0, "failed": 2},
            "v3": {"attempts": 1, "completed": 1, "failed": 0},
        },
        "config_versions": [-1, 3, 5],
    }
    job = row(store, "FROM render_jobs")
    assert (job["status"], job["revision"], job["total_lines"]) == ("rendered", 1, 4)
    assert job["output_uri"] == "file:///mixes/m1/r1/video.mp4"
    assert job["finished_at"] - job["submitted_at"] == timedelta(seconds=2)
    clips = rows(
        store, "SELECT clip_task_id, outcome, fallback_reason, attempts FROM clips ORDER BY clip_index"
    )
    assert [tuple(clip.values()) for clip in clips] == [
        ("a", "completed", None, 2),
        ("b", "completed", None, 2),
        ("c", "placeholder", "source_too_short", 1),
        ("d", "placeholder", "no_candidates", 0),
    ]


def test_attempts_that_only_touch_do_not_run_at_once_and_an_instant_one_counts(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a", "b", "c")
    mix.completed("a", 0, 100)
    mix.completed("b", 100, 200)
    told(store, log.records)
    assert stats(store)["peak_parallelism"] == 1

    mix.completed("c", 150, 150)
    told(store, log.records)
    assert stats(store)["peak_parallelism"] == 2


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (19, 19), (20, 19), (21, 20), (40, 38)])
def test_p95_is_the_nearest_rank(store: Store, count: int, expected: int) -> None:
    log = Log()
    mix = log.mix()
    tasks = [f"t{n}" for n in range(1, count + 1)]
    mix.accepted(*tasks)
    for duration, task in reversed(list(enumerate(tasks, 1))):
        mix.completed(task, 0, duration)
    told(store, log.records)
    assert stats(store)["p95_clip_duration_ms"] == expected


def test_a_mix_without_a_successful_attempt_has_no_durations(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    mix.failed("a", 0, 10)
    told(store, log.records)
    figures = stats(store)
    assert (figures["avg_clip_duration_ms"], figures["p95_clip_duration_ms"]) == (None, None)
    assert figures["total_clips"] == 0
    job = row(store, "FROM render_jobs")
    assert (job["status"], job["finished_at"], job["total_lines"]) == ("rendering", None, 1)
    clip = row(store, "FROM clips")
    assert (clip["outcome"], clip["attempts"], clip["frames"]) == (None, 1, 35)


def test_the_first_outcome_in_the_log_is_the_effective_one(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    mix.placeholder("a", 900, "deadline_exceeded")
    mix.completed("a", 0, 100)
    told(store, log.records)
    assert row(store, "FROM clips")["fallback_reason"] == "deadline_exceeded"
    figures = stats(store)
    assert (figures["completed_tasks"], figures["placeholder_tasks"], figures["failed_tasks"]) == (0, 1, 1)
    assert figures["attempts"] == 1


def test_what_is_logged_twice_counts_once_as_first_logged(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    for _ in range(2):
        mix.failed("a", 0, 10)
        mix.completed("a", 20, 60, attempt=2)
    mix.completed("a", 20, 9999, attempt=2, worker="zombie")
    mix.accepted("a")
    mix.rendered(100)
    mix.rendered(200)
    told(store, log.records)
    figures = stats(store)
    assert (figures["attempts"], figures["retries"], figures["avg_clip_duration_ms"]) == (2, 1, 40)
    assert row(store, "SELECT count(*) AS n FROM events")["n"] == len(log.records)
    job = row(store, "FROM render_jobs")
    assert job["finished_at"] - job["submitted_at"] == timedelta(milliseconds=100)


def test_late_attempts_after_the_video_are_counted_but_change_no_outcome(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    mix.completed("a", 0, 10)
    mix.rendered(20)
    told(store, log.records)
    mix.completed("a", 0, 500, video="v9", candidate_index=1)
    told(store, log.records)
    assert row(store, "FROM clips")["video_id"] == "v1"
    assert row(store, "FROM render_jobs")["status"] == "rendered"
    assert stats(store)["attempts"] == 2


def test_after_a_revision_only_its_lines_count(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a", "b")
    mix.completed("a", 0, 10)
    mix.failed("b", 0, 30, video="v2")
    mix.placeholder("b", 40)
    mix.rendered(50)
    mix.accepted("a", "b2", revision=2, at_ms=60)
    told(store, log.records)
    assert row(store, "FROM render_jobs")["status"] == "rendering"
    figures = stats(store)
    assert (figures["total_clips"], figures["placeholder_tasks"], figures["attempts"]) == (1, 0, 1)
    assert rows(store, "SELECT clip_task_id FROM clips ORDER BY clip_index") == [
        {"clip_task_id": "a"},
        {"clip_task_id": "b2"},
    ]
    assert rows(store, "SELECT clip_task_id, effective FROM attempts ORDER BY clip_task_id") == [
        {"clip_task_id": "a", "effective": True},
        {"clip_task_id": "b", "effective": False},
    ]

    mix.completed("b2", 70, 90)
    mix.rendered(95, revision=1)  # a late video of the older plan
    told(store, log.records)
    assert row(store, "FROM render_jobs")["status"] == "rendering"
    mix.rendered(100, revision=2)
    told(store, log.records)
    job = row(store, "FROM render_jobs")
    assert (job["status"], job["revision"], job["output_uri"]) == (
        "rendered",
        2,
        "file:///mixes/m1/r2/video.mp4",
    )


@pytest.mark.parametrize(("type_", "status"), [("mix-failed", "failed"), ("mix-cancelled", "cancelled")])
def test_a_mix_that_ends_without_a_video_says_why(store: Store, type_: str, status: str) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    mix.ended(type_, 30, "song_invalid")
    mix.rendered(40)
    told(store, log.records)
    job = row(store, "FROM render_jobs")
    assert (job["status"], job["reason"], job["message"], job["output_uri"]) == (
        status,
        "song_invalid",
        "because of song_invalid",
        None,
    )


@pytest.mark.parametrize("type_", ["mix-failed", "mix-cancelled"])
def test_a_late_end_of_an_older_revision_ends_nothing(store: Store, type_: str) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    mix.accepted("b", revision=2, at_ms=10)
    mix.ended(type_, 20, revision=1)
    told(store, log.records)
    assert row(store, "SELECT status, revision FROM render_jobs") == {"status": "rendering", "revision": 2}
    # The first logs did not say which revision they were about.
    mix.ended(type_, 30, revision=None)
    told(store, log.records)
    assert row(store, "SELECT status FROM render_jobs") == {"status": type_.removeprefix("mix-")}


def test_a_rejected_mix_has_a_row_only_while_its_id_was_never_accepted(store: Store) -> None:
    log = Log()
    log.mix("bad").rejected(5, "line_too_short")
    log.mix("good").rejected(6)
    told(store, log.records)
    assert rows(store, "SELECT id, status, reason FROM render_jobs ORDER BY id") == [
        {"id": "bad", "status": "rejected", "reason": "line_too_short"},
        {"id": "good", "status": "rejected", "reason": "mix_exists"},
    ]
    assert stats(store, "bad")["total_clips"] == 0
    log.mix("good").accepted("a", at_ms=7)
    log.mix("good").rejected(8)
    told(store, log.records)
    assert row(store, "SELECT status FROM render_jobs WHERE id = 'good'") == {"status": "rendering"}


def test_two_mixes_may_name_their_tasks_alike(store: Store) -> None:
    log = Log()
    log.mix("m1").accepted("a")
    log.mix("m2").accepted("b")
    log.mix("m2").completed("a", 0, 10)
    told(store, log.records)
    assert stats(store, "m1")["total_clips"] == 0
    assert stats(store, "m2")["attempts"] == 0


@pytest.mark.parametrize(
    ("value", "headers", "problem"),
    [
        (None, [], "tombstone"),
        (b"\xff\x00", [], "not_json"),
        (b"[1]", [], "not_json"),
        (b'{"a": NaN}', [], "not_json"),
        (b"{" * 10_000, [], "not_json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, [], "not_json"),
        (b'{"type": "mix-praised", "mix_id": "m1", "at_ms": 1}', [], "unknown_type"),
        (b'{"type": 7}', [], "unknown_type"),
        (b'{"type": "mix-accepted", "mix_id": "m1", "at_ms": 1, "lines": 5, "revision": 1}', [], "malformed"),
        (b'{"type": "clip-completed", "mix_id": "m1", "at_ms": 1}', [], "malformed"),
        (b'{"type": "mix-failed", "mix_id": "m1", "at_ms": 99999999999999999}', [], "malformed"),
        (b'{"type": "mix-failed", "mix_id": "m1", "at_ms": 1e400}', [], "malformed"),
        (b'{"type": "mix-failed", "mix_id": {"a": "\\u0000"}}', [], "malformed"),
        (
            b'{"type": "mix-failed", "mix_id": "m1", "at_ms": 1}',
            [("ce_type", b"clipfold.mix-failed.v2")],
            "newer_version",
        ),
    ],
)
def test_what_cannot_be_understood_is_kept_and_counted_and_harms_nothing(
    store: Store, value: bytes | None, headers: list[tuple[str, bytes]], problem: str
) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    log.append(value, key=b"\xff\x00", headers=headers)
    mix.completed("a", 0, 10)
    told(store, log.records)
    event = row(store, "FROM events WHERE kafka_offset = 1")
    assert event["problem"] == problem
    kept = event["raw"] if event["value"] is None else event["value"].encode()
    assert kept == value
    assert stats(store)["completed_tasks"] == 1
    assert row(store, "FROM render_jobs")["status"] == "rendering"


def test_fields_of_tomorrow_are_ignored_and_extreme_numbers_harm_nothing(store: Store) -> None:
    log = Log()
    mix = log.mix()
    mix.accepted("a")
    mix.completed("a", 0, 10, bytes=2**70, frames=-(2**63), mood={"deep": [1]})
    told(store, log.records)
    assert row(store, "SELECT outcome, bytes FROM clips") == {"outcome": "completed", "bytes": None}


def test_a_time_that_is_none_is_null(store: Store) -> None:
    log = Log()
    record = log.append({"type": "mix-praised", "at_ms": 2**62})
    log.records[0] = type(record)(record.ref, -1, None, record.value, [])
    told(store, log.records)
    assert row(store, "SELECT occurred_at, logged_at FROM events") == {"occurred_at": None, "logged_at": None}


def test_config_history_merges_parts_and_says_who_changed_what(store: Store) -> None:
    log = Log()
    log.config({"max_parallelism": 9, "max_retry": 2}, "ann")
    log.config({"max_parallelism": 0})
    log.config({"max_retry": 0})
    log.config(b"rubbish")
    log.config(None)
    log.append({"max_retry": 9}, topic="render-config", key=b"other")
    told(store, log.records)
    history = rows(
        store,
        "SELECT config_version, actor, valid, changes, config ->> '$.max_parallelism' AS slots "
        "FROM config_history ORDER BY config_version",
    )
    assert [tuple(version.values()) for version in history] == [
        (0, "ann", True, '{"max_parallelism":[4,9]}', "9"),
        (1, "kcat", False, "{}", "9"),
        (2, "kcat", True, '{"max_retry":[2,0]}', "9"),
        (3, "kcat", False, "{}", "9"),
        (4, "kcat", True, '{"max_parallelism":[9,4],"max_retry":[0,2]}', "4"),
    ]


def test_config_history_knows_late_changes_and_leaves_restatements_out(store: Store) -> None:
    whole = {**RenderClipConfig().model_dump(), "max_retry": 9}
    log = Log()
    log.config({"max_retry": 9})
    log.config(whole, "serve", config_version=0, config_as_of=0)
    log.config({**whole, "max_retry": 1}, "ann", config_base=0)
    log.config({**whole, "max_retry": 5}, "bob", config_base=0)
    log.config(whole, "serve", config_version=0, config_as_of=3)
    told(store, log.records)
    history = rows(
        store, "SELECT config_version, actor, valid, error, changes FROM config_history ORDER BY ALL"
    )
    assert [tuple(version.values()) for version in history] == [
        (0, "kcat", True, None, '{"max_retry":[2,9]}'),
        (2, "ann", True, None, '{"max_retry":[9,1]}'),
        (3, "bob", False, "it was made to version 0, and version 2 was in force", "{}"),
        (4, "serve", True, None, '{"max_retry":[1,9]}'),
    ]


def test_events_say_when_they_happened_and_when_they_were_logged(store: Store) -> None:
    log = Log()
    log.mix().accepted("a", at_ms=77)
    told(store, log.records)
    times = row(store, "SELECT epoch_ms(occurred_at) AS occurred, epoch_ms(logged_at) AS logged FROM events")
    assert times == {"occurred": START_MS + 77, "logged": START_MS}
