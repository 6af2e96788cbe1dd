"""One worker and one projection for all tests of this folder, on the one Kafka of the run."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from projections.query import run_sql
from stream_app.kafka.submit import submit_request
from stream_app.settings import Settings
from tests.integration.render.roles import ROOT, Role, wait_until
from tests.recomputed import read_log, told_by_events, told_by_tables

SLOTS = 4


@dataclass
class Stack:
    """What a test talks to."""

    bootstrap: str
    artifacts: Path
    worker: Role
    serve: Role | None
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(kafka_bootstrap=self.bootstrap, artifacts_dir=self.artifacts)

    def submit(self, request: dict[str, Any]) -> str:
        """Send a request; where it stands."""
        ref = asyncio.run(submit_request(self.settings, request["mix_id"], json.dumps(request).encode()))
        return str(ref)

    def kcat(self, *arguments: str, typed: str | None = None) -> str:
        command = ["kcat", "-b", self.bootstrap, "-q", *arguments]
        done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def clipfold(self, *arguments: str) -> str:
        """Run a command that is to go well; what it printed."""
        done = self._run(arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def clipfold_status(self, *arguments: str) -> tuple[int, str]:
        """Run a command; its exit code and what it complained of."""
        done = self._run(arguments)
        return done.returncode, done.stderr

    def _run(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stream_app.cli", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "RENDER_KAFKA_BOOTSTRAP": self.bootstrap,
                "RENDER_ARTIFACTS_DIR": str(self.artifacts),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def events(self, mix_id: str) -> list[dict[str, Any]]:
        """The whole story of a mix."""
        return [json.loads(line) for line in self.clipfold("events", mix_id, "--json").splitlines()]

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        return list(run_sql(self.artifacts / "clipfold.duckdb", query).rows)

    def wait_for_end(self, mix_id: str, timeout_s: float = 300) -> None:
        """Wait until SQL shows that the mix has ended."""
        query = f"SELECT 1 FROM render_jobs WHERE id = '{mix_id}' AND finished_at IS NOT NULL"
        snapshot = self.artifacts / "clipfold.duckdb"
        wait_until(
            lambda: snapshot.exists() and bool(self.sql(query)), f"{mix_id} has ended", timeout_s, poll_s=0.5
        )


@pytest.fixture(scope="session")
def stack(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    environment = {
        "RENDER_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "RENDER_ARTIFACTS_DIR": str(folder / "artifacts"),
        "RENDER_CLIP_CONCURRENCY": str(SLOTS),
        "RENDER_METRICS_PORT": "0",
        "RENDER_API_PORT": "0",
        # Tests serve sources on loopback.
        "RENDER_ALLOW_CIDRS": "127.0.0.0/8",
    }
    worker = Role("worker", environment, folder / "worker.log").start()
    serve = Role("serve", environment, folder / "serve.log").start()
    try:
        worker.wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
        worker.wait_for("kafka.partitions_assigned", group="clipfold-assembler")
        serve.wait_for("serve.started", timeout_s=120)
        yield Stack(kafka_bootstrap, folder / "artifacts", worker, serve)
    finally:
        endings = {role.log: role.terminate() for role in (worker, serve)}
        assert set(endings.values()) == {0}, [
            log.read_text()[-3000:] for log, code in endings.items() if code
        ]
    with duckdb.connect(folder / "artifacts" / "clipfold.duckdb", read_only=True) as snapshot:
        assert told_by_tables(snapshot) == told_by_events(read_log(kafka_bootstrap))


@pytest.fixture(scope="session")
def slow_case() -> dict[str, Any]:
    """The 60 lines over six sources; `scripts/test` has made the media."""
    request: dict[str, Any] = json.loads((ROOT / "media/slow_render_case.json").read_text())
    missing = [
        candidate["uri"]
        for line in request["lines"]
        for candidate in line["candidates"]
        if not (ROOT / candidate["uri"]).exists()
    ]
    assert not missing, f"{missing[0]} is missing: type python scripts/media/create_samples.py"
    return request
