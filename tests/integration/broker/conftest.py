import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream_app.kafka import broker
from topics.registry import MAX_MESSAGE_BYTES

TIMEOUT_S = 20
CACHE = broker.default_home()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty home; whatever runs in it at the end of the test is stopped."""
    yield tmp_path / "a home"
    broker.stop(tmp_path / "a home")


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose broker runs, for the tests that leave it as it is."""
    home = tmp_path_factory.mktemp("shared")
    broker.start(home, cache=CACHE)
    yield home
    broker.stop(home)


@pytest.fixture
def start(home: Path) -> Callable[[], broker.Broker]:
    return lambda: broker.start(home, cache=CACHE)


class Songs:
    """One topic, from its creation to its first record."""

    async def create(self, bootstrap: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_topics(
                [NewTopic("songs", 1, 1, topic_configs={"max.message.bytes": str(MAX_MESSAGE_BYTES)})]
            )
        finally:
            await admin.close()

    async def append(self, bootstrap: str, value: bytes) -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", max_request_size=MAX_MESSAGE_BYTES
        ) as producer:
            await producer.send_and_wait("songs", value)

    async def first(self, bootstrap: str) -> bytes:
        async with (
            AIOKafkaConsumer(
                "songs",
                bootstrap_servers=bootstrap,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            ) as consumer,
            asyncio.timeout(TIMEOUT_S),
        ):
            value: bytes = (await consumer.getone()).value
            return value


@pytest.fixture
def songs() -> Songs:
    return Songs()


@pytest.fixture
def kill() -> Callable[[int], None]:
    """SIGKILL, and wait for the end: a process that is no child of ours can only be looked at."""

    def kill_and_wait(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + TIMEOUT_S
        while runs(pid):
            assert time.monotonic() < deadline

    return kill_and_wait


def runs(pid: int) -> bool:
    """Whether there is such a process that is not just waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def is_running() -> Callable[[int], bool]:
    return runs
