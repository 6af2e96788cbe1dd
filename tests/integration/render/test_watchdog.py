"""A worker that hangs says so and ends by itself; one that waits for Kafka lives on and loses nothing."""

import fcntl
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_app.kafka import broker
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import ROOT, Role, wait_until
from tests.integration.render.test_parallel_clip_pipeline import small

STUCK_AFTER_S = 4.0
F_SETPIPE_SZ = 1031

DEAF = """
import sys
from stream_app.kafka.group_reader import GroupReader
from stream_app.cli import main
hand_out = GroupReader._deliver
def lose_tasks(self, partition, records):
    if partition.topic != "clip-tasks":
        hand_out(self, partition, records)
GroupReader._deliver = lose_tasks
sys.argv[1:] = ["worker"]
main()
"""
"""A real worker, whose consumer of tasks is alive in Kafka's eyes and hands nothing out."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("kafka")
    broker.start(home, cache=broker.default_home())
    yield home
    broker.stop(home)


@pytest.fixture
def environment(kafka: Path, tmp_path: Path) -> dict[str, str]:
    running = broker.status(kafka)
    assert running is not None
    return {
        "RENDER_KAFKA_BOOTSTRAP": running.bootstrap,
        "RENDER_ARTIFACTS_DIR": str(tmp_path / "artifacts"),
        "RENDER_METRICS_PORT": "0",
        "RENDER_STUCK_AFTER_MS": str(int(STUCK_AFTER_S * 1000)),
        "RENDER_KAFKA_REQUEST_TIMEOUT_MS": "3000",
    }


def ask(worker: Role, path: str) -> tuple[int, str]:
    """Status and text of an answer; 0 when there is none any more."""
    (started,) = (line for line in worker.lines() if line["event"] == "render_worker.started")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{started['metrics_port']}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_it_lives_on_while_kafka_is_away(
    kafka: Path, environment: dict[str, str], slow_case: dict[str, Any], tmp_path: Path
) -> None:
    worker = Role("worker", environment, tmp_path / "worker.log").start()
    try:
        worker.wait_for("kafka.partitions_assigned", group="clipfold-assembler", timeout_s=120)
        wait_until(lambda: ask(worker, "/readyz")[0] == 200, "it is ready")
        assert ask(worker, "/healthz")[0] == 200
        assert "render_slots" in ask(worker, "/metrics")[1]
        stack = Stack(environment["RENDER_KAFKA_BOOTSTRAP"], tmp_path / "artifacts", worker, serve=None)
        stack.submit(small(slow_case, "orphan", lines=20))
        worker.wait_for("render_worker.clip_task_completed", mix_id="orphan")
        running = broker.status(kafka)
        assert running is not None
        assert running.pid is not None
        os.kill(running.pid, signal.SIGKILL)
        # Each look takes its time limit: so many take longer than the patience.
        worker.wait_for("kafka.watchdog_blind", count=9, timeout_s=120)
        assert ask(worker, "/healthz")[0] == 200
        status, why = ask(worker, "/readyz")
        assert (status, "Kafka does not answer" in why) == (503, True)
        broker.start(kafka, cache=broker.default_home())
        worker.wait_for("render_worker.clip_stats", mix_id="orphan", timeout_s=120)
        wait_until(lambda: ask(worker, "/readyz")[0] == 200, "it is ready again")
    finally:
        assert worker.terminate() == 0, worker.log.read_text()[-3000:]


def test_a_consumer_that_hands_nothing_out_ends_the_worker(
    environment: dict[str, str], slow_case: dict[str, Any], tmp_path: Path
) -> None:
    worker = Role("worker", environment, tmp_path / "worker.log", (sys.executable, "-c", DEAF)).start()
    worker.wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
    stack = Stack(environment["RENDER_KAFKA_BOOTSTRAP"], tmp_path / "artifacts", worker, serve=None)
    stack.submit(small(slow_case, "unheard", lines=2))
    told: list[str] = []

    def says_why() -> bool:
        told.append(ask(worker, "/readyz")[1])
        return "clip-tasks" in told[-1]

    wait_until(says_why, "/readyz says what stands still", 60, poll_s=0.2)
    assert worker.process.wait(60) == 1
    assert [line["group"] for line in worker.lines() if line["event"] == "worker.stuck"] == [
        "clipfold-cutter"
    ]
    assert worker.log.read_text().splitlines()[-1].startswith("clipfold: what waits in clip-tasks/")


def test_a_worker_whose_log_nobody_reads_ends(environment: dict[str, str]) -> None:
    """Its event loop hangs in a write, and with it all that could notice; stdout and stderr are one pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stream_app.cli", "worker"],
        cwd=ROOT,
        env={**os.environ, **environment, "RENDER_LOG_LEVEL": "debug"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, F_SETPIPE_SZ, 4096)
        assert process.wait(120) == 1
    finally:
        process.kill()
        process.wait(10)
    assert len(process.stdout.read()) >= 4096
