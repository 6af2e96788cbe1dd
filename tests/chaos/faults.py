"""What scenarios need beside a world: bad input, leaders, readers."""

import asyncio
import json
import random
import threading
import time
from types import TracebackType
from typing import Any

import duckdb
from load import mix
from world import World

from stream_app.kafka.clients import make_admin
from stream_app.settings import Settings

POISON: tuple[tuple[bytes | None, bytes | None], ...] = (
    (b"poison-0", b"no json"),
    (b"poison-1", b"\xff\xfe\x00\x01" * 100),
    (b"poison-2", b"[" * 100_000),
    (b"poison-3", b"null"),
    (b"poison-4", None),
    (b"poison-5", b'{"lines": NaN}'),
    (b"poison-6", b'{"type": "mix-cancel", "mix_id": "poison-6"}'),
    (b"poison-7", b'{"type": "mix-request", "mix_id": "poison-7", "lines": []}'),
    (b"\xff\xff", json.dumps({"mix_id": "NOT AN ID", "lines": 7}).encode()),
    (None, b"{" + b'"a":' * 1000),
)
"""Text, bytes, nesting, no object, no value, no number, an unknown mix, no lines, a bad key, half JSON."""


def poison(world: World, number: int) -> None:
    """Put one record of the kind `number` among the requests."""
    key, value = POISON[number % len(POISON)]
    world.send_raw(key, value)


def broker_leader(world: World) -> int:
    """The number of the broker that leads the first partition of the log."""

    async def ask() -> int:
        admin = make_admin(Settings(kafka_bootstrap=world.bootstrap))
        await admin.start()
        try:
            (topic,) = await admin.describe_topics(["mix-events"])
            return next(int(each["leader"]) for each in topic["partitions"] if each["partition"] == 0)
        finally:
            await admin.close()

    return asyncio.run(asyncio.wait_for(ask(), 60))


class Duplicates:
    """The same requests again and again, each fifth of them twice, in another order each time."""

    def __init__(self, world: World, mixes: int) -> None:
        self._world = world
        self._requests = [mix(number, world.sources) for number in range(mixes)]
        self._draw = random.Random(7)  # noqa: S311 - the same order each time

    def send(self) -> None:
        again = self._draw.sample(self._requests, max(1, len(self._requests) // 5))
        requests: list[dict[str, Any]] = [*self._requests, *again]
        self._draw.shuffle(requests)
        self._world.send_requests(requests, clean=True, expects="mix-rendered")


class SnapshotReaders:
    """Somebody who opens the snapshot so many times while it is published anew."""

    def __init__(self, world: World, times: int) -> None:
        self._path = world.snapshot
        self._times = times
        self._failures: list[str] = []
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        for _ in range(self._times):
            if self._path.exists():
                try:
                    with duckdb.connect(str(self._path), read_only=True) as con:
                        con.execute(
                            "SELECT count(*) FROM render_jobs JOIN clip_stats ON id = mix_id"
                        ).fetchall()
                except duckdb.Error as error:
                    self._failures.append(str(error))
            time.sleep(0.1)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._thread.join(120)
        assert kind or not self._failures, self._failures[:3]
