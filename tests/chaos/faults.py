"""What scenarios need beside a world: bad input, leaders."""

import asyncio
import json
import random
from typing import Any

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
        admin = make_admin(Settings(kafka_bootstrap=world.kafka.bootstrap))
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
