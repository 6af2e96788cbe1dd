"""The main job, end to end: real Kafka, real media, real DuckDB."""

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import av
from frame_stamp import read_origin
from sample_table import SAMPLES

from stream_app.domain.mix import Mix
from tests.integration.render.conftest import SLOTS, Stack
from tests.integration.render.roles import Role, wait_until
from topics.codec import read_event
from topics.events import MixEvent

SEED_QUERY = """
SELECT id, json_extract(metrics, '$.render.clip_stats.peak_parallelism') AS peak_parallelism,
       json_extract(metrics, '$.render.clip_stats.placeholder_tasks') AS placeholder_tasks,
       json_extract(metrics, '$.render.clip_stats.total_clips') AS total_clips
FROM render_jobs ORDER BY submitted_at DESC LIMIT 1;"""


def small(request: dict[str, Any], mix_id: str, lines: int = 60) -> dict[str, Any]:
    """The first lines, without a song to fill up to, in a picture that is quick to make."""
    profile = {"width": 320, "height": 180, "fps": "30", "quality": "draft"}
    return {**request, "mix_id": mix_id, "profile": profile, "song": None, "lines": request["lines"][:lines]}


def path_of(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def test_slow_case(stack: Stack, slow_case: dict[str, Any]) -> None:
    request = {**slow_case, "mix_id": "slow-case"}
    before = stack.worker.metrics()
    stack.submit(request)
    stack.wait_for_end("slow-case")

    assert_sql_agrees(stack)
    rendered = stack.events("slow-case")[-1]
    assert_video_is_right(rendered, request)
    assert_logged(stack, rendered)
    assert_counted(before, stack.worker.metrics())
    assert not (stack.artifacts / "render_tmp" / "job_slow-case").exists()


def assert_sql_agrees(stack: Stack) -> None:
    ((mix_id, peak, placeholders, total),) = stack.sql(SEED_QUERY)
    assert (mix_id, int(placeholders), int(total)) == ("slow-case", 0, 60)
    assert int(peak) == SLOTS
    assert stack.sql("SELECT count(*), count(DISTINCT clip_index) FROM clips WHERE mix_id = 'slow-case'") == [
        (60, 60)
    ]


def assert_video_is_right(rendered: dict[str, Any], request: dict[str, Any]) -> None:
    """Every line shows its candidate's very frames at its very place, and the sound is there."""
    assert rendered["frames"] == 5400
    with av.open(str(path_of(rendered["uri"]))) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (1280, 720, 30)
        assert video.streams.audio[0].rate == 48_000
        checked = 0
        for number, frame in enumerate(video.decode(video=0)):
            assert frame.pts * frame.time_base == Fraction(number, 30)
            line = request["lines"][number // 90]
            if number % 90 in (0, 44, 89):
                assert_shows(frame, line["candidates"][0], Fraction(number % 90, 30))
                checked += 1
        assert number == 5399
        assert checked == 180


def assert_shows(frame: av.VideoFrame, candidate: dict[str, Any], into: Fraction) -> None:
    sample = next(sample for sample in SAMPLES if sample.name == candidate["video_id"])
    origin = read_origin(frame)
    assert origin.source == sample.number
    asked = Fraction(candidate["start_ms"], 1000) + into
    shown = origin.frame / sample.fps
    # Half an output frame, and the half source frame that the whole clip may be snapped by.
    assert abs(shown - asked) <= Fraction(1, 60) + Fraction(1, 2) / sample.fps


def assert_logged(stack: Stack, rendered: dict[str, Any]) -> None:
    lines = [line for line in stack.worker.lines() if line.get("mix_id") == "slow-case"]
    assert {line["trace_id"] for line in lines} == {rendered["trace_id"]}
    said = Counter(line["event"] for line in lines)
    assert said["twelvelabs.video_clip"] == said["render_worker.clip_task_completed"] == 60
    for line in lines:
        if line["event"] == "twelvelabs.video_clip":
            assert {"clip_task_id", "parallel_slot", "video_id"} <= line.keys()
            assert 0 <= line["parallel_slot"] < SLOTS
        if line["event"] == "render_worker.clip_task_completed":
            assert line["frames"] == 90
            assert line["duration_ms"] >= line["fetch_ms"] + line["cut_ms"] >= 0
            assert {"worker", "parallel_slot", "video_id", "bytes", "method", "isolation"} <= line.keys()
    (decided,) = (line for line in lines if line["event"] == "intake.decided")
    assert (decided["result"], decided["lines"], decided["tasks"]) == ("accepted", 60, 60)
    (stats,) = (line for line in lines if line["event"] == "render_worker.clip_stats")
    assert (stats["lines"], stats["sha256"], stats["bytes"]) == (60, rendered["sha256"], rendered["bytes"])
    assert stats["elapsed_ms"] > 0
    assert {name: stats[name] for name in rendered["clip_stats"]} == rendered["clip_stats"]
    assert "render_worker.config_hot_reload" in {line["event"] for line in stack.worker.lines()}


def assert_counted(before: dict[str, float], after: dict[str, float]) -> None:
    assert after["render_clip_duration_ms_count"] - before["render_clip_duration_ms_count"] == 60
    assert sum(value for name, value in after.items() if name.startswith("render_clip_inflight")) == 0
    assert after["render_config_update_total"] >= 1


def test_a_request_typed_with_kcat_is_rendered(stack: Stack, slow_case: dict[str, Any]) -> None:
    request = small(slow_case, "typed-by-hand", lines=2)
    stack.kcat("-P", "-t", "mix-requests", "-K:", typed=f"typed-by-hand:{json.dumps(request)}\n")
    stack.wait_for_end("typed-by-hand")
    told = stack.kcat("-C", "-t", "mix-events", "-e", "-o", "beginning", "-f", "%k %h %s\n")
    story = [line for line in told.splitlines() if line.startswith("typed-by-hand ")]
    types = [json.loads(line[line.index("{") :])["type"] for line in story]
    assert types == ["mix-accepted", "clip-completed", "clip-completed", "mix-rendered"]
    assert "ce_specversion=1.0" in story[0]
    assert "ce_type=clipfold.mix-accepted.v1" in story[0]
    assert "traceparent=00-" in story[0]


def test_a_key_that_is_not_the_mix_id_leads_home_too(stack: Stack, slow_case: dict[str, Any]) -> None:
    for number in range(8):
        request = small(slow_case, f"keyless-{number}", lines=1)
        stack.kcat("-P", "-t", "mix-requests", "-K:", typed=f"other-{number}:{json.dumps(request)}\n")
    for number in range(8):
        stack.wait_for_end(f"keyless-{number}")


def test_the_same_request_again_is_the_same_mix(stack: Stack, slow_case: dict[str, Any]) -> None:
    request = small(slow_case, "asked-twice", lines=2)
    stack.submit(request)
    stack.wait_for_end("asked-twice")
    once = stack.events("asked-twice")
    stack.submit(request)
    stack.submit({**request, "priority": 6})
    other = "mix_exists"
    wait_until(lambda: len(stack.events("asked-twice")) > len(once), "the other content is rejected")
    again = stack.events("asked-twice")
    assert again[: len(once)] == once
    (rejected,) = again[len(once) :]
    assert rejected["type"] == "mix-rejected"
    assert [error["code"] for error in rejected["errors"]] == [other]
    decided = [
        line
        for line in stack.worker.lines()
        if line["event"] == "intake.decided" and line["mix_id"] == "asked-twice"
    ]
    assert [line["result"] for line in decided] == ["accepted", "unchanged", "rejected"]
    assert decided[-1]["error"] == "/mix_id: mix_exists"
    assert decided[-1]["trace_id"] == rejected["trace_id"]
    assert all(line["trace_id"] for line in decided)


def test_lines_without_usable_candidates_show_placeholders(stack: Stack, slow_case: dict[str, Any]) -> None:
    def with_candidates(number: int, *candidates: dict[str, Any]) -> dict[str, Any]:
        return {**slow_case["lines"][number], "candidates": list(candidates)}

    good = slow_case["lines"][0]["candidates"][0]
    missing = {"video_id": "gone", "uri": "media/samples/gone.mp4", "start_ms": 0}
    request = small(slow_case, "placeholders")
    request["lines"] = [
        with_candidates(0),
        with_candidates(1, missing),
        with_candidates(2, {**good, "video_id": "short", "start_ms": 3_000_000}),
        with_candidates(3, {"video_id": "text", "uri": "README.md", "start_ms": 0}),
        with_candidates(4, {"video_id": "outside", "uri": "file:///etc/hostname", "start_ms": 0}),
        with_candidates(5, missing, good),
    ]
    before = stack.worker.metrics()
    stack.submit(request)
    stack.wait_for_end("placeholders")
    reasons = {
        "no_candidates": 1,
        "source_missing": 1,
        "source_too_short": 1,
        "source_invalid": 1,
        "source_refused": 1,
    }
    rendered = stack.events("placeholders")[-1]
    assert rendered["type"] == "mix-rendered"
    stats = rendered["clip_stats"]
    assert stats["fallback_reason_counts"] == reasons
    assert (stats["total_clips"], stats["placeholder_tasks"], stats["failed_tasks"]) == (6, 5, 4)
    ((counts,),) = stack.sql(
        "SELECT fallback_reason_counts::VARCHAR FROM clip_stats WHERE mix_id = 'placeholders'"
    )
    assert json.loads(counts) == reasons
    after = stack.worker.metrics()
    for reason in reasons:
        name = f'render_clip_placeholder_total{{reason="{reason}"}}'
        assert after[name] - before.get(name, 0) == 1
    refused = [
        line
        for line in stack.worker.lines()
        if line["event"] == "twelvelabs.retrieve_exception" and line["mix_id"] == "placeholders"
    ]
    assert Counter(line["reason"] for line in refused) == {
        "source_missing": 2,
        "source_invalid": 1,
        "source_refused": 1,
    }
    assert all(line["level"] == "warning" and line["error"] and line["video_id"] for line in refused)
    logged = Counter(
        line["fallback_reason"]
        for line in stack.worker.lines()
        if line["event"] == "render_worker.placeholder_inserted" and line["mix_id"] == "placeholders"
    )
    assert logged == reasons
    told = {
        line["fallback_reason"]: line
        for line in stack.worker.lines()
        if line["event"] == "render_worker.placeholder_inserted" and line["mix_id"] == "placeholders"
    }
    assert all(line["worker"] and line["sha256"] and line["frames"] > 0 for line in told.values())
    assert (told["no_candidates"]["videos"], told["no_candidates"]["error"]) == ([], None)
    assert told["source_missing"]["videos"] == ["gone"]
    assert "gone.mp4" in told["source_missing"]["error"]


def test_a_mix_whose_song_is_missing_is_never_silent(stack: Stack, slow_case: dict[str, Any]) -> None:
    request = small(slow_case, "no-song", lines=1) | {"song": {"uri": "media/samples/nowhere.m4a"}}
    stack.submit(request)
    stack.wait_for_end("no-song")
    end = stack.events("no-song")[-1]
    assert (end["type"], end["reason"]) == ("mix-failed", "song_unavailable")
    stack.worker.wait_for(
        "render_worker.mix_ended",
        mix_id="no-song",
        trace_id=end["trace_id"],
        result="mix-failed",
        reason="song_unavailable",
        error=end["message"],
        lines=1,
        total_clips=1,
    )


def test_a_worker_killed_in_the_middle_loses_nothing(stack: Stack, slow_case: dict[str, Any]) -> None:
    request = small(slow_case, "killed")
    stack.submit(request)
    stack.worker.wait_for("render_worker.clip_task_completed", mix_id="killed", count=10)
    assert_shown_while_in_work(stack, "killed")
    stack.worker.kill()
    stack.worker.start()
    stack.wait_for_end("killed")
    story = [read_event(json.dumps(event).encode()) for event in stack.events("killed")]
    mix = Mix()
    for event in story:
        assert isinstance(event, MixEvent)
        mix.apply(event)
    assert mix.end is not None
    assert mix.end.type == "mix-rendered"
    assert mix.stats().total_clips == mix.stats().completed_tasks == 60
    assert_whole(stack, mix)


def assert_shown_while_in_work(stack: Stack, mix_id: str) -> None:
    """What people see of a mix in work are the clips of the store themselves."""
    job = stack.artifacts / "render_tmp" / f"job_{mix_id}"
    wait_until(lambda: job.is_dir() and any(job.iterdir()), "clips are shown")
    stored = {clip.stat().st_ino for clip in (stack.artifacts / "clips").glob("*.mp4")}
    shown = list(job.iterdir())
    assert all(clip.stat().st_ino in stored for clip in shown)
    assert all(clip.name.removeprefix("clip_").removesuffix(".mp4").isdigit() for clip in shown)


def assert_whole(stack: Stack, mix: Mix) -> None:
    ((count, frames),) = stack.sql(
        "SELECT count(DISTINCT clip_index), sum(frames)::INT FROM clips WHERE mix_id = 'killed'"
    )
    assert (count, frames) == (60, 5400)
    assert sum(outcome.frames for outcome in mix.effective_outcomes) == 5400
    assert not (stack.artifacts / "render_tmp" / "job_killed").exists()


def test_a_config_typed_with_kcat_is_in_force_at_once(stack: Stack, slow_case: dict[str, Any]) -> None:
    def typed(config: str) -> None:
        stack.kcat("-P", "-t", "render-config", "-K:", typed=f"render:{config}\n")

    typed('{"max_parallelism": 2, "per_video_limit": 1}')
    stack.worker.wait_for("render_worker.config_hot_reload", new_parallelism=2, per_video_limit=1)
    typed('{"max_parallelism": 65}')
    stack.worker.wait_for("render_worker.config_refused")
    (version,) = {
        line["config_version"]
        for line in stack.worker.lines()
        if line["event"] == "render_worker.config_hot_reload" and line["new_parallelism"] == 2
    }
    stack.submit(small(slow_case, "reconfigured", lines=12))
    stack.wait_for_end("reconfigured")
    stats = stack.events("reconfigured")[-1]["clip_stats"]
    assert stats["peak_parallelism"] == 2
    assert stats["config_versions"] == [version]
    typed(f'{{"max_parallelism": {SLOTS}, "per_video_limit": 2}}')
    stack.worker.wait_for("render_worker.config_hot_reload", new_parallelism=SLOTS, per_video_limit=2)


def test_workers_may_come_and_go_in_the_middle_of_a_mix(
    stack: Stack, slow_case: dict[str, Any], tmp_path: Path
) -> None:
    second = Role("worker", stack.worker.environment, tmp_path / "second.log")
    request = small(slow_case, "shared")
    # A picture that no other test has asked for, and one that takes its time: the clips must not all be there
    # before the second worker is.
    request["profile"] = {**request["profile"], "width": 1280, "height": 718, "quality": "high"}
    stack.submit(request)
    stack.worker.wait_for("render_worker.clip_task_completed", mix_id="shared", count=5)
    second.start()
    second.wait_for("render_worker.clip_task_completed", mix_id="shared", count=3)
    assert second.terminate() == 0
    stack.wait_for_end("shared")
    rendered = stack.events("shared")[-1]
    assert rendered["type"] == "mix-rendered"
    assert rendered["clip_stats"]["completed_tasks"] == 60
    assert rendered["frames"] == 5400
