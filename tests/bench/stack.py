"""Warm services, as a user has them: a Kafka, workers, and a client that clocks mixes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from sources import ROOT

from stream_app.child_process import die_with_parent
from stream_app.kafka import broker
from stream_app.kafka.clients import make_consumer
from stream_app.kafka.partitioning import home_partition
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from topics.registry import MIX_EVENTS, MIX_REQUESTS

START_TIMEOUT_S = 120
MIX_TIMEOUT_S = 900
POLL_S = 0.05


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """A real Kafka of its own; its `host:port`."""
    started = broker.start(folder, cache=broker.default_home(), timeout_s=300)
    try:
        yield started.bootstrap
    finally:
        broker.stop(folder)


@dataclass(frozen=True)
class Place:
    """Where workers work.

    Attributes:
        bootstrap: their Kafka.
        folder: for artifacts and logs.
        media_root: where sources lie.
    """

    bootstrap: str
    folder: Path
    media_root: Path

    @property
    def artifacts(self) -> Path:
        """The artifacts folder."""
        return self.folder / "artifacts"

    def forget_clips(self) -> None:
        """Have the next mix cut its clips anew: nothing that was made before is known by its recipe."""
        for recipe in (self.artifacts / "clips" / "recipes").glob("*.json"):
            recipe.unlink()


class Worker:
    """A `clipfold worker`, or another role; `pid` is that of the process that a user starts."""

    def __init__(self, place: Place, name: str, environment: dict[str, str], role: str = "worker") -> None:
        place.folder.mkdir(parents=True, exist_ok=True)
        self.log = place.folder / f"{name}.log"
        with self.log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stream_app.cli", role],
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - a bench that is killed leaves nothing
            )
        self.pid = self._process.pid

    def assigned(self, group: str) -> list[int]:
        """The partitions that it owns now."""
        said = [line for line in self.said("kafka.partitions_assigned") if line.get("group") == group]
        return list(said[-1]["partitions"]) if said else []

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log about `event`, so far."""
        return [line for line in self._lines() if line.get("event") == event]

    def check(self) -> None:
        """See that it still runs."""
        if self._process.poll() is not None:
            raise RuntimeError(f"a worker ended:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """End it without a word, as a crash does."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self.log.read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


@contextmanager
def workers(place: Place, count: int = 1, *, slots: int = 4, **environment: str) -> Iterator[list[Worker]]:
    """`count` workers that share the partitions of `clip-tasks` out among them."""
    settings = {
        "RENDER_KAFKA_BOOTSTRAP": place.bootstrap,
        "RENDER_ARTIFACTS_DIR": str(place.artifacts),
        "RENDER_MEDIA_ROOTS": str(place.media_root),
        "RENDER_CLIP_CONCURRENCY": str(slots),
        "RENDER_METRICS_PORT": "0",
        **environment,
    }
    with ExitStack() as cleanup:
        started = []
        for number in range(count):
            worker = Worker(place, f"worker-{count}-{number}", settings)
            cleanup.callback(worker.stop)
            started.append(worker)
        _wait_until_shared(started)
        yield started


def _wait_until_shared(started: list[Worker]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    wanted = list(range(16))
    while True:
        owned = sorted(p for worker in started for p in worker.assigned("clipfold-cutter"))
        mixes = sorted(p for worker in started for p in worker.assigned("clipfold-assembler"))
        if owned == wanted and mixes:
            return
        for worker in started:
            worker.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"the workers own {owned} after {START_TIMEOUT_S} s")
        time.sleep(POLL_S)


@dataclass(frozen=True)
class Rendered:
    """A mix that was clocked.

    Attributes:
        wall_s: from the request's acknowledgement to `mix-rendered`, read from Kafka.
        end: that event.
        events: all of the mix, from its acceptance on.
    """

    wall_s: float
    end: dict[str, Any]
    events: list[dict[str, Any]]

    @property
    def recalled_or_cut(self) -> int:
        """How many clips were completed."""
        return sum(event["type"] == "clip-completed" for event in self.events)


def render(place: Place, request: dict[str, Any]) -> Rendered:
    """Send a request (or a revision) and wait for its video.

    Raises:
        RuntimeError: it ended without one.
    """
    return asyncio.run(asyncio.wait_for(_render(place, request), MIX_TIMEOUT_S))


def send(place: Place, request: dict[str, Any]) -> None:
    """Send a request, a revision or a cancellation, and wait for nothing but its acknowledgement."""
    asyncio.run(asyncio.wait_for(_send(place, request), START_TIMEOUT_S))


async def _send(place: Place, request: dict[str, Any]) -> None:
    settings = Settings(kafka_bootstrap=place.bootstrap, artifacts_dir=place.artifacts)
    mix_id = request["mix_id"]
    writer = Writer(settings, "bench")
    await writer.start()
    try:
        partition = home_partition(mix_id)
        await writer.send(
            MIX_REQUESTS.name, mix_id.encode(), json.dumps(request).encode(), partition=partition
        )
    finally:
        await writer.stop()


async def _render(place: Place, request: dict[str, Any]) -> Rendered:
    settings = Settings(kafka_bootstrap=place.bootstrap, artifacts_dir=place.artifacts)
    mix_id = request["mix_id"]
    home = TopicPartition(MIX_EVENTS.name, home_partition(mix_id))
    writer, reader = Writer(settings, "bench"), make_consumer(settings)
    await writer.start()
    await reader.start()
    try:
        reader.assign([home])
        reader.seek(home, (await reader.end_offsets([home]))[home])
        value = json.dumps(request).encode()
        await writer.send(MIX_REQUESTS.name, mix_id.encode(), value, partition=home.partition)
        acknowledged = time.monotonic()
        events: list[dict[str, Any]] = []
        async for record in reader:
            if record.key != mix_id.encode():
                continue
            events.append(json.loads(record.value))
            kind = events[-1]["type"]
            if kind == "mix-rendered":
                return Rendered(time.monotonic() - acknowledged, events[-1], events)
            if kind in ("mix-failed", "mix-rejected", "mix-cancelled", "clip-attempt-failed"):
                raise RuntimeError(f"{mix_id}: {events[-1]}")
        raise AssertionError
    finally:
        await reader.stop()
        await writer.stop()
