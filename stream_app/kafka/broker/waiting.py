"""Wait for other processes, but never for ever."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_app.kafka.broker.errors import BrokerError

POLL_S = 0.03
"""Between two looks: short beside a start of 0.7 s, long beside the cost of a look."""


class Deadline:
    """A moment that all the waits of one call share."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the moment, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def passed(self) -> bool:
        """Whether the moment is over."""
        return self.left() <= 0


@contextmanager
def exclusively(path: Path, deadline: Deadline) -> Iterator[None]:
    """Hold the lock of `path`; the kernel lets go of it however this process ends.

    Raises:
        BrokerError: another process held it until the deadline.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        while not _try_lock(file.fileno()):
            if deadline.passed():
                raise BrokerError(f"another clipfold is still at work in {path.parent}: wait for it to end")
            time.sleep(POLL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
