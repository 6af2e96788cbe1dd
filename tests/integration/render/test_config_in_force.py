"""A change of the render config is obeyed by a running worker: at once, and in everything."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from tests.broker_fixture import own_kafka
from tests.fault_server import Fault, FaultServer
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import ROOT, Role, wait_until
from tests.integration.render.test_parallel_clip_pipeline import path_of, small
from tests.served import Serve
from topics.config import RenderClipConfig

CONFIG = "/api/v1/render/config"
WAVES = "media/samples/ocean-waves.mp4"


class World(Stack):
    """A Kafka of its own, because the config is one for a whole cluster, with a worker and a `serve`."""

    http: Serve

    def patch(self, **fields: Any) -> int:
        """Change the config; the version, once the worker obeys it."""
        answer = self.http.ask(CONFIG, "PATCH", fields)
        assert answer.status == 200, answer
        version: int = answer.body["config_version"]
        self.worker.wait_for("render_worker.config_hot_reload", config_version=version)
        return version

    def attempts(self, mix_id: str) -> list[dict[str, Any]]:
        return [event for event in self.events(mix_id) if "started_at_ms" in event]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with own_kafka(folder / "kafka") as bootstrap:
        http = Serve(bootstrap, folder)
        environment = {
            **http.role.environment,
            "RENDER_METRICS_PORT": "0",
            "RENDER_ALLOW_CIDRS": "127.0.0.0/8",
        }
        worker = Role("worker", environment, folder / "worker.log").start()
        http.start()
        world = World(bootstrap, Path(environment["RENDER_ARTIFACTS_DIR"]), worker, http.role)
        world.http = http
        try:
            worker.wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
            worker.wait_for("kafka.partitions_assigned", group="clipfold-assembler")
            yield world
        finally:
            assert {worker.terminate(), http.role.terminate()} == {0}, worker.log.read_text()[-3000:]


@pytest.fixture(autouse=True)
def _default(world: World) -> None:
    world.patch(**RenderClipConfig().model_dump())


def in_progress_at_start(attempts: list[dict[str, Any]], attempt: dict[str, Any]) -> list[dict[str, Any]]:
    """The attempts that were in slots in the moment after this one had taken its own, itself included."""
    at_ms = attempt["started_at_ms"]
    return [
        other
        for other in attempts
        if other["started_at_ms"] <= at_ms < max(other["finished_at_ms"], other["started_at_ms"] + 1)
    ]


def test_slots_follow_in_the_middle_of_a_mix(world: World, slow_case: dict[str, Any]) -> None:
    versions = {world.patch(max_parallelism=2, per_video_limit=6): 2}
    request = {**slow_case, "mix_id": "hot", "song": None, "lines": slow_case["lines"][:40]}
    world.submit(request)
    started = {"mix_id": "hot", "event": "twelvelabs.video_clip"}
    world.worker.wait_for(**started, count=4)
    versions[world.patch(max_parallelism=6)] = 6
    world.worker.wait_for(**started, count=16)
    versions[world.patch(max_parallelism=1)] = 1
    world.wait_for_end("hot")

    attempts = world.attempts("hot")
    assert len(attempts) == 40
    assert {attempt["type"] for attempt in attempts} == {"clip-completed"}  # those that ran were let to end
    peaks = dict.fromkeys(versions, 0)
    for attempt in attempts:
        version = attempt["config_version"]
        running = len(in_progress_at_start(attempts, attempt))
        assert running <= versions[version], attempt
        peaks[version] = max(peaks[version], running)
    assert peaks == versions
    assert world.events("hot")[0]["config_version"] == min(versions)
    assert world.events("hot")[-1]["clip_stats"]["config_versions"] == sorted(versions)
    assert_took_waiting_work_at_once(attempts, sorted(versions)[1])


def assert_took_waiting_work_at_once(attempts: list[dict[str, Any]], version: int) -> None:
    """All slots were full before a cut that ran at the time of the change had to end."""
    before = [attempt for attempt in attempts if attempt["config_version"] < version]
    after = sorted(
        (attempt for attempt in attempts if attempt["config_version"] == version),
        key=lambda attempt: attempt["started_at_ms"],
    )
    # The four new slots were taken in one go.
    assert after[3]["started_at_ms"] - after[0]["started_at_ms"] <= 1000
    assert any(
        attempt["started_at_ms"] <= after[0]["started_at_ms"] < attempt["finished_at_ms"]
        for attempt in before
    )


def test_the_limit_of_a_video_follows_in_the_middle_of_a_mix(world: World, slow_case: dict[str, Any]) -> None:
    versions = {world.patch(per_video_limit=1): 1}
    source = slow_case["lines"][0]["candidates"][:1]
    lines = [{**line, "candidates": source} for line in slow_case["lines"][:16]]
    world.submit({**slow_case, "mix_id": "one-video", "song": None, "lines": _apart(lines)})
    world.worker.wait_for("twelvelabs.video_clip", mix_id="one-video", count=3)
    versions[world.patch(per_video_limit=3)] = 3
    world.wait_for_end("one-video")
    attempts = world.attempts("one-video")
    for attempt in attempts:
        assert len(in_progress_at_start(attempts, attempt)) <= versions[attempt["config_version"]]
    assert world.events("one-video")[-1]["clip_stats"]["peak_parallelism"] == 3


def _apart(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each at another moment of its source, so that none is the clip of another."""
    return [
        {**line, "candidates": [{**line["candidates"][0], "start_ms": 1000 + 700 * number}]}
        for number, line in enumerate(lines)
    ]


def test_retries_and_time_limits_follow(world: World, slow_case: dict[str, Any]) -> None:
    def failing(mix_id: str) -> list[dict[str, Any]]:
        # A server of its own each time: one that fails too often is left alone for a while.
        with FaultServer(ROOT / "media/samples").in_thread() as server:
            server.faults["*"] = Fault(status=500)
            candidate = {"video_id": mix_id, "uri": server.url(f"/{mix_id}.mp4"), "start_ms": 0}
            request = small(slow_case, mix_id, lines=1)
            request["lines"] = [{**request["lines"][0], "candidates": [candidate]}]
            world.submit(request)
            world.wait_for_end(mix_id)
            return world.attempts(mix_id)

    none = world.patch(max_retry=0, retry_backoff_ms=0)
    assert [attempt["config_version"] for attempt in failing("no-retry")] == [none]
    two = world.patch(max_retry=2)
    assert [attempt["config_version"] for attempt in failing("two-retries")] == [two] * 3
    world.patch(max_retry=1, retry_backoff_ms=2000)
    first, second = failing("slow-retry")
    assert second["started_at_ms"] - first["finished_at_ms"] >= 1500  # 2000 less a quarter of jitter

    world.patch(max_retry=0, clip_timeout_ms=1)
    request = small(slow_case, "no-time", lines=1)
    request["lines"][0] = {
        **request["lines"][0],
        "candidates": [{**request["lines"][0]["candidates"][0], "start_ms": 5501}],
    }
    world.submit(request)
    world.wait_for_end("no-time")
    (attempt,) = world.attempts("no-time")
    assert attempt["reason"] == "cut_failed"
    assert "time limit of 1 ms" in attempt["error"]


def test_a_new_placeholder_is_shown_from_then_on(world: World, slow_case: dict[str, Any]) -> None:
    def brightness(mix_id: str) -> float:
        request = small(slow_case, mix_id, lines=1)
        request["lines"] = [{**request["lines"][0], "candidates": []}]
        world.submit(request)
        world.wait_for_end(mix_id)
        story = world.events(mix_id)
        (clip,) = (event for event in story if event["type"] == "clip-placeholder")
        assert clip["config_version"] == story[0]["config_version"]
        with av.open(str(path_of(clip["uri"]))) as video:
            return float(next(video.decode(video=0)).to_ndarray(format="gray").mean())

    assert brightness("black") < 5
    version = world.patch(placeholder_asset_path=WAVES)
    assert brightness("waves") > 30
    # One that is typed and is none changes nothing at all.
    world.kcat(
        *("-P", "-t", "render-config", "-K:"),
        typed='render:{"max_retry": 9, "placeholder_asset_path": "README.md"}\n',
    )
    world.serve.wait_for("kafka.dead_letter", record=f"render-config/0/{version + 1}")
    later = world.patch(max_parallelism=3)
    said = [line for line in world.worker.lines() if line["event"] == "render_worker.config_hot_reload"]
    assert [line["config_version"] for line in said[-2:]] == [version, later]
    assert (said[-1]["placeholder_asset_path"], said[-1]["max_retry"]) == (WAVES, 2)
    assert brightness("waves-still") > 30


def test_a_worker_that_cannot_see_it_keeps_the_last_good_one(world: World, tmp_path: Path) -> None:
    """Another machine, say, on which the file was forgotten."""
    seen = tmp_path / "media"
    shutil.copytree(ROOT / "media/fallback", seen / "media/fallback")
    environment = {
        **world.worker.environment,
        "RENDER_MEDIA_ROOTS": str(seen),
        "RENDER_ARTIFACTS_DIR": str(tmp_path / "artifacts"),
    }
    blind = Role("worker", environment, tmp_path / "blind.log").start()
    try:
        blind.wait_for("render_worker.started", timeout_s=120)
        version = world.patch(placeholder_asset_path=WAVES, max_parallelism=7)
        unusable = "render_worker.placeholder_asset_unusable"
        blind.wait_for(unusable, config_version=version, kept=RenderClipConfig().placeholder_asset_path)
        blind.wait_for(
            "render_worker.config_hot_reload",
            config_version=version,
            new_parallelism=7,
            placeholder_asset_path=RenderClipConfig().placeholder_asset_path,
        )
        (seen / WAVES).parent.mkdir()
        shutil.copy(ROOT / WAVES, seen / WAVES)
        later = world.patch(max_parallelism=8)
        blind.wait_for("render_worker.config_hot_reload", config_version=later, placeholder_asset_path=WAVES)
    finally:
        assert blind.terminate() == 0


def test_the_command_line_asks_and_sets(world: World) -> None:
    set_ = json.loads(
        world.clipfold("config", "set", "max_retry=5", f"placeholder_asset_path={WAVES}", "--json")
    )
    assert (set_["max_retry"], set_["placeholder_asset_path"]) == (5, WAVES)
    world.worker.wait_for("render_worker.config_hot_reload", config_version=set_["config_version"])
    assert json.loads(world.clipfold("config", "get", "--json")) == set_
    wait_until(lambda: world.http.ask(CONFIG).body == set_, "serve has it too")
    newest = json.loads(world.clipfold("config", "history", "--json"))[0]
    assert (newest["actor"], newest["config_version"]) == ("cli", set_["config_version"])
    assert newest["changes"]["max_retry"] == [2, 5]
    assert "max_retry: 2 -> 5" in world.clipfold("config", "history")

    def status(*arguments: str) -> tuple[int, str]:
        return world.clipfold_status("config", "set", *arguments)

    code, said = status("max_retry=11", "surprise=1", "placeholder_asset_path=README.md")
    assert code == 2
    assert all(name in said for name in ("max_retry", "surprise", "placeholder_asset_path"))
    assert status("max_retry")[0] == 2
    code, said = status("max_retry=1", "--version", str(set_["config_version"] - 1))
    assert (code, f"version {set_['config_version']} is in force" in said) == (1, True)
    assert json.loads(world.clipfold("config", "get", "--json")) == set_
