"""Kafka dies in the middle of a mix and comes back on its data: the mix goes on where it was."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_app.kafka import broker
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import Role
from tests.integration.render.test_parallel_clip_pipeline import small


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    broker.stop(tmp_path / "home")


def test_a_mix_survives_the_sudden_death_of_its_broker(
    home: Path, tmp_path: Path, slow_case: dict[str, Any]
) -> None:
    running = broker.start(home, cache=broker.default_home())
    environment = {
        "RENDER_KAFKA_BOOTSTRAP": running.bootstrap,
        "RENDER_ARTIFACTS_DIR": str(tmp_path / "artifacts"),
        "RENDER_METRICS_PORT": "0",
        "RENDER_API_PORT": "0",
    }
    worker = Role("worker", environment, tmp_path / "worker.log").start()
    serve = Role("serve", environment, tmp_path / "serve.log").start()
    try:
        stack = Stack(running.bootstrap, tmp_path / "artifacts", worker, serve)
        worker.wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
        stack.submit(small(slow_case, "orphaned", lines=40))
        worker.wait_for("render_worker.clip_task_completed", mix_id="orphaned", count=5)
        os.kill(running.pid, signal.SIGKILL)
        again = broker.start(home, cache=broker.default_home())
        assert again.bootstrap == running.bootstrap
        stack.wait_for_end("orphaned")
        stats = stack.events("orphaned")[-1]["clip_stats"]
        assert (stats["total_clips"], stats["placeholder_tasks"]) == (40, 0)
        stack.submit(small(slow_case, "next", lines=1))
        stack.wait_for_end("next")
        os.kill(again.pid, signal.SIGKILL)
    finally:
        # Without Kafka there is nobody to say goodbye to; they end all the same.
        for role in (worker, serve):
            assert role.terminate() in {0, 1}, role.log.read_text()[-3000:]
