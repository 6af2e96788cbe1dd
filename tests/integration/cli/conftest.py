"""A machine on which nothing of clipfold runs yet."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_app.kafka import broker
from tests.integration.render.roles import ROOT


class Machine:
    """A home of its own, with Kafka's program in it and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.artifacts = folder / "artifacts"
        self.home.mkdir()
        (self.home / "kafka").symlink_to(broker.default_home() / "kafka")

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "stream_app.cli", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "RENDER_HOME": str(self.home),
                "RENDER_ARTIFACTS_DIR": str(self.artifacts),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        try:
            out, err = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def request(self, mix_id: str, first: int, **changes: Any) -> str:
        """The file of a request for the first lines of the slow case."""
        case = json.loads((ROOT / "media/slow_render_case.json").read_text())
        profile = {"width": 320, "height": 180, "quality": "draft"}
        body = {**case, "mix_id": mix_id, "profile": profile, "lines": case["lines"][:first], **changes}
        path = self.folder / f"{mix_id}.json"
        path.write_text(json.dumps(body))
        return str(path)

    def running(self) -> list[str]:
        """Command lines of processes that this machine's commands have left behind."""
        lines = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes()
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(self.home).encode() in environment and command:
                lines.append(command)
        return lines


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> Iterator[Machine]:
    # Asked for only because its broker has fetched Kafka's program by now.
    assert kafka_bootstrap
    machine = Machine(tmp_path_factory.mktemp("machine"))
    yield machine
    broker.stop(machine.home)
