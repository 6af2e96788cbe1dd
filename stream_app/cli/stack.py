"""Start what a one-off render needs and is not there, and leave nothing of it running."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stream_app.child_process import die_with_parent
from stream_app.cli.output import note
from stream_app.domain.errors import ClipfoldError
from stream_app.kafka import broker
from stream_app.role_lock import is_running
from stream_app.settings import Settings

DRAIN_GRACE_S = 15.0
"""On top of the drain limit, before a role that does not end is killed."""

LOG_TAIL = 2000
"""Characters of a role's log that are shown when it ended by itself."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A Kafka, a worker and a projection that are there for now.

    `metrics_url` is that of the worker if it was started here.
    """

    settings: Settings
    metrics_url: str | None
    started: Mapping[str, subprocess.Popen[bytes]]

    def check(self) -> None:
        """See that what was started here still runs.

        Raises:
            ClipfoldError: a role has ended; the message has its last words.
        """
        for role, process in self.started.items():
            if process.poll() is not None:
                path = _log_path(self.settings, role)
                last_words = path.read_text(errors="replace")[-LOG_TAIL:].strip()
                raise ClipfoldError(
                    f"{role} ended with status {process.returncode}; {path} ends:\n{last_words}"
                )


@contextmanager
def local_stack(settings: Settings) -> Iterator[Stack]:
    """Use the named Kafka, else the embedded one; use the roles that run here, else start them."""
    with ExitStack() as cleanup:
        if settings.kafka_bootstrap is None:
            settings = _embedded_kafka(settings, cleanup)
        port = None
        started = {}
        if not is_running(settings, "worker"):
            port = _free_port()
            started["worker"] = cleanup.enter_context(
                _role(settings, "worker", {"RENDER_METRICS_PORT": str(port)})
            )
        if not is_running(settings, "serve"):
            started["serve"] = cleanup.enter_context(_role(settings, "serve", {"RENDER_API_PORT": "0"}))
        yield Stack(settings, f"http://127.0.0.1:{port}/metrics" if port else None, started)


def _embedded_kafka(settings: Settings, cleanup: ExitStack) -> Settings:
    running = broker.start(settings.home, on_progress=note)
    if running.started_here:
        cleanup.callback(broker.stop, settings.home)
    return settings.model_copy(update={"kafka_bootstrap": running.bootstrap})


@contextmanager
def _role(settings: Settings, role: str, extra: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A role as a process of its own, that dies with us; its log is kept beside the artifacts."""
    log_path = _log_path(settings, role)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "RENDER_KAFKA_BOOTSTRAP": settings.kafka_bootstrap or "", **extra}
    parent = os.getpid()
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream_app.cli", role],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - it must not outlive us
        )
    try:
        yield process
    finally:
        _end(process, settings.drain_timeout_ms / 1000 + DRAIN_GRACE_S)


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Ask it to drain; kill its group when it does not."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _log_path(settings: Settings, role: str) -> Path:
    return settings.artifacts_dir / "logs" / f"{role}.log"
