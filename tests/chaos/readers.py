"""People who look while harm is done: at the snapshot, and at the event stream."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Self

import duckdb
import httpx
from world import World

from tests.contract.api.client import MIXES, Told, events_in
from tests.integration.render.roles import wait_until

BROKEN_AFTER = 3
FOLLOWED_FOR_S = 120
CALL_TIMEOUT_S = 20


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

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._thread.join(120)
        assert kind or not self._failures, self._failures[:3]


class EventFollowers:
    """One client for each of the mixes that are sent next, whose connection breaks again and again.

    In the end each must have been told every event of its mix once, in the order of the log.
    """

    def __init__(self, world: World, mixes: int) -> None:
        self._world = world
        self._mixes = [f"load-{world.sent + number}" for number in range(mixes)]
        self._pool = ThreadPoolExecutor(mixes)
        self._told: dict[str, Future[list[Told]]] = {}

    def __enter__(self) -> Self:
        self._told = {mix_id: self._pool.submit(self._follow, mix_id) for mix_id in self._mixes}
        return self

    def _follow(self, mix_id: str) -> list[Told]:
        told: list[Told] = []
        give_up_at = time.monotonic() + FOLLOWED_FOR_S
        while not told or told[-1].event != "mix-rendered":
            assert time.monotonic() < give_up_at, f"{mix_id}: {len(told)} events within {FOLLOWED_FOR_S} s"
            headers = {"Last-Event-ID": told[-1].id} if told else {}
            try:
                address = f"{self._world.api}{MIXES}/{mix_id}/events"
                with httpx.stream("GET", address, headers=headers, timeout=CALL_TIMEOUT_S) as answer:
                    if answer.is_success:
                        told.extend(islice(events_in(answer), BROKEN_AFTER))
                        continue
            except httpx.TransportError:
                pass
            # Not asked for yet, or serve is not there: a client tries again.
            time.sleep(0.2)
        return told

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        told = {mix_id: future.result(FOLLOWED_FOR_S) for mix_id, future in self._told.items()}
        self._pool.shutdown()
        if kind is None:
            for mix_id, events in told.items():
                self._check(mix_id, events)

    def _check(self, mix_id: str, events: list[Told]) -> None:
        offsets = [int(event.id.partition(":")[2]) for event in events]
        assert offsets == sorted(set(offsets)), f"{mix_id}: told {offsets}"
        count = f"SELECT count(*) FROM events WHERE topic = 'mix-events' AND mix_id = '{mix_id}'"
        wait_until(
            lambda: self._world.count(count) == len(offsets), f"{mix_id} has {len(offsets)} events", 30
        )
