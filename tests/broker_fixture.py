"""One real Kafka for a whole test run, however many workers pytest-xdist splits it over.

Import `kafka_bootstrap` from here into a conftest. With RENDER_TEST_KAFKA_BOOTSTRAP set, that Kafka is used
and nothing is started.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from stream_app.kafka import broker

START_TIMEOUT_S = 300
"""The first run on a machine fetches Kafka."""


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The `host:port` of a Kafka that is there until the last worker has ended."""
    named = os.environ.get("RENDER_TEST_KAFKA_BOOTSTRAP")
    if named:
        yield named
    else:
        yield from _shared_broker(_folder_of_the_run(tmp_path_factory) / "kafka")


@contextmanager
def own_kafka(home: Path) -> Iterator[str]:
    """A Kafka for tests of what a whole cluster shares, such as the render config; its `host:port`."""
    try:
        yield broker.start(home, cache=broker.default_home(), timeout_s=START_TIMEOUT_S).bootstrap
    finally:
        broker.stop(home)


@contextmanager
def frozen(home: Path) -> Iterator[None]:
    """Have the broker of `home` hang meanwhile: the kernel takes what is sent to it, nothing is answered."""
    running = broker.status(home)
    assert running is not None
    assert running.pid is not None
    os.kill(running.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.pid, signal.SIGCONT)


def _folder_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.getbasetemp()
    # Each worker of pytest-xdist has a folder of its own inside that of the run.
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _shared_broker(home: Path) -> Iterator[str]:
    """Start it or join it; whoever can have its lock alone is the last one out, and stops it.

    A lock, not a number in a file: the kernel lets go of it when a worker crashes.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "users").open("a", encoding="ascii") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield broker.start(home, cache=broker.default_home(), timeout_s=START_TIMEOUT_S).bootstrap
        finally:
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                broker.stop(home)
