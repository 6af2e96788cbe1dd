"""Know whether a role runs here: each holds a lock that the kernel lets go of however it ends."""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_app.kafka.clients import bootstrap_servers
from stream_app.settings import Settings


@contextmanager
def holding_role(settings: Settings, role: str) -> Iterator[None]:
    """Say that `role` runs on these artifacts and this Kafka, for as long as the block does."""
    path = _path(settings, role)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_running(settings: Settings, role: str) -> bool:
    """Whether a process of `role` is alive on these artifacts and this Kafka."""
    with _path(settings, role).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _path(settings: Settings, role: str) -> Path:
    settings.artifacts_dir.mkdir(parents=True, exist_ok=True)
    kafka = re.sub(r"[^A-Za-z0-9.-]+", "_", bootstrap_servers(settings))
    return settings.artifacts_dir / f".{role}-{kafka}.lock"
