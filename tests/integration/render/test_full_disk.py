"""The disk of the artifacts is really full: work waits and says so, and goes on as soon as there is room.

The disk is a small one in memory that only the worker sees. So it is gone with the worker, however a test
ends, and it takes no root where users may have namespaces of their own.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stream_app.kafka import broker
from tests.fault_server import FaultServer
from tests.integration.render.conftest import SLOTS, Stack
from tests.integration.render.roles import ROOT, Role, wait_until
from tests.integration.render.test_parallel_clip_pipeline import path_of, small

DISK = "64m"
CHUNK = 1 << 20
ALONE = ("unshare", "--map-root-user", "--mount", "sh", "-euc")
MOUNT = 'mount -t tmpfs -o size="$1" artifacts "$2"; shift 2; exec "$@"'


def on_small_disk(folder: Path) -> tuple[str, ...]:
    """What to put before a command, for which `folder` is then a disk of its own."""
    return (*ALONE, MOUNT, "sh", DISK, str(folder))


def hindrance_to_mount(folder: Path) -> str | None:
    try:
        command = [*on_small_disk(folder), "true"]
        tried = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        return str(error)
    return tried.stderr.strip() if tried.returncode else None


class Disk:
    """The worker's disk, seen from outside, and a ballast that takes what is free."""

    def __init__(self, worker: Role, folder: Path) -> None:
        self._root = Path(f"/proc/{worker.process.pid}/root")
        self._folder = self.seen(folder)
        self._ballast = self._folder / "ballast"

    def seen(self, path: Path) -> Path:
        """A file of the worker, by a path that leads there from here."""
        return self._root / path.relative_to("/")

    @property
    def free(self) -> int:
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes; the worker may take some at the same time."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while (surplus := self.free - leave) > 0:
                ballast.write(bytes(min(surplus, CHUNK)))

    def clear(self) -> None:
        self._ballast.unlink()


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Disk]]:
    """A worker with a small disk, on a Kafka of its own: no other worker is to do its work."""
    folder = tmp_path_factory.mktemp("small-disk")
    artifacts = folder / "artifacts"
    artifacts.mkdir()
    if (hindrance := hindrance_to_mount(artifacts)) is not None:
        pytest.skip(f"no disk of our own can be mounted here: {hindrance}")
    kafka = broker.start(folder / "kafka", cache=broker.default_home())
    environment = {
        "RENDER_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "RENDER_ARTIFACTS_DIR": str(artifacts),
        "RENDER_CLIP_CONCURRENCY": str(SLOTS),
        "RENDER_METRICS_PORT": "0",
        "RENDER_ALLOW_CIDRS": "127.0.0.0/8",
    }
    worker = Role("worker", environment, folder / "worker.log", on_small_disk(artifacts)).start()
    try:
        worker.wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
        worker.wait_for("kafka.partitions_assigned", group="clipfold-assembler")
        yield Stack(kafka.bootstrap, folder / "of-serve", worker, serve=None), Disk(worker, artifacts)
    finally:
        ended = worker.terminate()
        broker.stop(folder / "kafka")
        assert ended == 0, worker.log.read_text()[-3000:]


def said(stack: Stack, event: str, mix_id: str | None = None) -> list[dict[str, Any]]:
    """What the worker said of a mix, or of none."""
    return [line for line in stack.worker.lines() if (line["event"], line.get("mix_id")) == (event, mix_id)]


def wait_for_end(stack: Stack, mix_id: str, revision: int = 1) -> list[dict[str, Any]]:
    stack.worker.wait_for("render_worker.clip_stats", mix_id=mix_id, revision=revision, timeout_s=180)
    return stack.events(mix_id)


def assert_nothing_was_given_up(stack: Stack, disk: Disk, story: list[dict[str, Any]], lines: int) -> None:
    """Every line has its clip at the first attempt that counts, and files are what events say."""
    assert {event["type"] for event in story} == {"mix-accepted", "clip-completed", "mix-rendered"}
    stats = story[-1]["clip_stats"]
    assert (stats["total_clips"], stats["completed_tasks"], stats["attempts"]) == (lines, lines, lines)
    for event in story:
        if event["type"] != "mix-accepted":
            content = disk.seen(path_of(event["uri"])).read_bytes()
            assert hashlib.sha256(content).hexdigest() == event["sha256"]
    given_up = ("render_clip_failures_total{", "render_clip_placeholder_total{")
    metrics = stack.worker.metrics()
    assert not [name for name, count in metrics.items() if name.startswith(given_up) and count]
    assert not [name for name, waiting in metrics.items() if name.startswith("render_paused{") and waiting]
    assert stack.kcat("-C", "-t", "dead-letters", "-e", "-o", "beginning") == ""


def pauses(stack: Stack, mix_id: str | None = None) -> list[str]:
    """Why work was paused, each time; it went on after each."""
    paused, resumed = (said(stack, f"render_worker.{word}", mix_id) for word in ("paused", "resumed"))
    assert len(paused) == len(resumed)
    assert {line["level"] for line in paused} <= {"error"}
    assert all(line["paused_ms"] > 0 for line in resumed)
    return [line["error"] for line in paused]


def test_cuts_wait_for_room(small_disk: tuple[Stack, Disk], slow_case: dict[str, Any]) -> None:
    stack, disk = small_disk
    mix_id = "cut-without-room"
    request = small(slow_case, mix_id, lines=12)
    request["profile"] = {**request["profile"], "width": 640, "height": 360, "quality": "high"}
    stack.submit(request)
    stack.worker.wait_for("render_worker.clip_task_completed", mix_id=mix_id, count=3)
    disk.fill()
    stack.worker.wait_for("render_worker.paused")
    assert stack.worker.metrics()['render_paused{part="cutting"}'] == 1
    begun = len(said(stack, "twelvelabs.video_clip", mix_id))

    def is_probing() -> bool:
        # What a failed cut leaves free is taken at once.
        disk.fill()
        return len(said(stack, "twelvelabs.video_clip", mix_id)) >= begun + 2

    wait_until(is_probing, "the disk is tried now and then")
    assert "mix-rendered" not in {event["type"] for event in stack.events(mix_id)}
    disk.clear()
    assert_nothing_was_given_up(stack, disk, wait_for_end(stack, mix_id), lines=12)
    (why, *_) = pauses(stack)
    assert "/clips/" in why
    assert "No space left on device; check the artifacts disk" in why


def test_a_join_waits_for_room(small_disk: tuple[Stack, Disk], slow_case: dict[str, Any]) -> None:
    stack, disk = small_disk
    mix_id = "join-without-room"
    stack.submit(small(slow_case, mix_id, lines=4))
    first = wait_for_end(stack, mix_id)
    disk.fill(leave=first[-1]["bytes"] // 2)
    left = disk.free
    # No clip is cut for it: what meets the full disk is the join.
    stack.submit({"type": "mix-revise", "mix_id": mix_id, "subtitles": {"sidecar": ["vtt"]}})
    out_dir = disk.seen(path_of(first[-1]["uri"])).parents[1] / "r2"
    changes: set[int] = set()

    def is_tried_again() -> bool:
        # It is made; then a try makes its own folder in it and removes that again.
        if out_dir.exists():
            changes.add(out_dir.stat().st_mtime_ns)
        return len(changes) > 3

    wait_until(is_tried_again, "the join is tried again")
    assert stack.worker.metrics()['render_paused{part="joining"}'] == 1
    wait_until(lambda: disk.free == left, "what was written of the video is gone")
    disk.clear()
    story = wait_for_end(stack, mix_id, revision=2)
    assert [event["type"] for event in story[len(first) :]] == ["mix-accepted", "mix-rendered"]
    assert story[-1]["frames"] == first[-1]["frames"]
    assert_nothing_was_given_up(stack, disk, story, lines=4)
    (why,) = pauses(stack, mix_id)
    assert "No space left on device" in why


def test_fetches_wait_for_room(small_disk: tuple[Stack, Disk], slow_case: dict[str, Any]) -> None:
    stack, disk = small_disk
    mix_id = "fetch-without-room"
    with FaultServer(ROOT / "media/samples").in_thread() as server:
        request = small(slow_case, mix_id, lines=2)
        request["lines"] = [
            {**line, "candidates": [{**source, "uri": server.url("/" + Path(source["uri"]).name)}]}
            for line in request["lines"]
            for source in line["candidates"][:1]
        ]
        disk.fill(leave=100_000)
        stack.submit(request)
        wait_until(
            lambda: any("/sources/" in line["error"] for line in said(stack, "render_worker.paused")),
            "a fetch meets the full disk",
        )
        disk.clear()
        story = wait_for_end(stack, mix_id)
    assert_nothing_was_given_up(stack, disk, story, lines=2)
    assert any("/sources/" in why for why in pauses(stack))
