"""Run a role as its user does, and wait for what it says instead of sleeping."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stream_app.child_process import die_with_parent

ROOT = Path(__file__).parents[3]
POLL_S = 0.05


class Role:
    """A `clipfold worker` or `clipfold serve` of its own; `wrapper` is a command that becomes it."""

    def __init__(
        self,
        name: str,
        environment: dict[str, str],
        log: Path,
        wrapper: Sequence[str] = (),
        arguments: Sequence[str] = (),
    ) -> None:
        self.log = log
        self._name = name
        self._wrapper = wrapper
        self._arguments = arguments
        self.environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Role":
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [*self._wrapper, sys.executable, "-m", "stream_app.cli", self._name, *self._arguments],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - a test that is killed leaves nothing
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def lines(self) -> Iterator[dict[str, Any]]:
        for line in self.log.read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)

    def wait_for(self, event: str, *, count: int = 1, timeout_s: float = 60, **fields: Any) -> None:
        def said() -> bool:
            assert self.process.poll() is None, f"{self._name} ended:\n{self.log.read_text()[-3000:]}"
            matching = (
                line for line in self.lines() if line["event"] == event and fields.items() <= line.items()
            )
            return sum(1 for _ in matching) >= count

        wait_until(said, f"{self._name} says {event} {fields}", timeout_s)

    def metrics(self) -> dict[str, float]:
        started = [line for line in self.lines() if line["event"] == "render_worker.started"]
        # A worker that was killed and started again listens elsewhere.
        port = started[-1]["metrics_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            rows = [row.rsplit(" ", 1) for row in answer.read().decode().splitlines() if row[0] != "#"]
        return {name: float(value) for name, value in rows}


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = 60, poll_s: float = POLL_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(poll_s)
