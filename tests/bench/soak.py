"""A steady load with faults for half an hour: nothing grows, nothing stays behind, no request is lost.

A Kafka, `serve`, and two workers: one that is left alone and measured, one that is killed every few minutes.
Small mixes come all the time, each with clips that were never cut before; some of their sources are bad. What
is kept is set so short that a removal is due every minute.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from processes import MB, open_files, rss_bytes, zombies
from report import Figure, as_text, at_most, machine, write_table
from sources import ROOT, SAMPLES
from stack import Place, Worker, kafka

from stream_app.kafka.clients import make_consumer
from stream_app.kafka.submit import send_request
from stream_app.kafka.topology import create_topics
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from topics.registry import MIX_EVENTS

PAGE = ROOT / "docs" / "reliability.md"
SECTION = """
## Half an hour under load

`scripts/soak` keeps a Kafka, `serve` and two workers busy with small mixes, some of their sources bad, and
kills one of the workers again and again. The other one and `serve` are watched.

<!-- begin: written by tests/bench/soak.py -->
<!-- end -->
"""
SAMPLE_EVERY_S = 5.0
IN_WORK = 3
"""Mixes asked for at a time: the cutters always have something to do, and nothing piles up."""

LINES = 4
LINE_MS = 500
KEEP_DAYS = 0.0006
KILL_EVERY_S = 120.0
LAST_MIXES_S = 180.0
ENDS = {"mix-rendered", "mix-failed", "mix-cancelled", "mix-rejected"}
OUTCOMES = {"clip-completed", "clip-placeholder", "clip-attempt-failed"}


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment: of each watched role, files and memory; of all, zombies and disk."""

    at_s: float
    files: dict[str, int]
    rss: dict[str, int]
    zombies: set[int]
    disk: int


@dataclass
class Load:
    """What was asked for and what became of it."""

    asked: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    kills: int = 0

    @property
    def in_work(self) -> int:
        """Mixes without an end."""
        return len(self.asked - self.ended.keys())


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print the table; 1 when a figure does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    where = machine()
    with tempfile.TemporaryDirectory(prefix="clipfold-soak.") as folder:
        figures = soak(Path(folder), options.minutes * 60)
    sys.stdout.write(as_text(figures) + "\n")
    if options.write:
        text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Reliability\n"
        if "tests/bench/soak.py -->" not in text:
            PAGE.write_text(text + SECTION, encoding="utf-8")
        took = f"{options.minutes:g} minutes on {where}"
        write_table("soak", time.strftime("%Y-%m-%d", time.gmtime()), took, figures, PAGE)
    return int(any(figure.holds is False for figure in figures))


@dataclass
class Soak:
    """Everything that takes part, and what was seen of it.

    Attributes:
        place: where it runs.
        environment: the settings of every role.
        watched: the roles that are measured and left alone.
        victim: the worker that is killed again and again.
        broken: a file that no decoder reads.
        load: what was asked for.
        samples: what was seen.
        news: set when a mix has ended.
    """

    place: Place
    environment: dict[str, str]
    watched: dict[str, Worker]
    victim: Worker
    broken: Path
    load: Load = field(default_factory=Load)
    samples: list[Sample] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, seconds: float) -> None:
        """Keep the load up for so long, then let what was asked for come to its end."""
        settings = Settings(
            _env_file=None, kafka_bootstrap=self.place.bootstrap, artifacts_dir=self.place.artifacts
        )
        await create_topics(settings)
        reader = make_consumer(settings, MIX_EVENTS.name)
        writer = Writer(settings, "soak")
        await reader.start()
        await writer.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                following = tasks.create_task(self._follow(reader))
                beside = [
                    tasks.create_task(self._sample()),
                    tasks.create_task(self._kill_now_and_then(min(KILL_EVERY_S, seconds / 3))),
                ]
                await self._ask(writer, time.monotonic() + seconds)
                for task in beside:
                    task.cancel()
                await self._until_in_work(0, time.monotonic() + LAST_MIXES_S)
                following.cancel()
        finally:
            await reader.stop()
            await writer.stop()

    async def _ask(self, writer: Writer, until: float) -> None:
        for number in count():
            await self._until_in_work(IN_WORK - 1, until)
            if time.monotonic() >= until:
                return
            request = _mix(number, self.broken)
            await send_request(writer, request["mix_id"], json.dumps(request).encode())
            self.load.asked.add(request["mix_id"])

    async def _until_in_work(self, most: int, until: float) -> None:
        """Return when no more mixes than that are in work, or at that time (as `time.monotonic`)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(until - time.monotonic()):
                while self.load.in_work > most:
                    self.news.clear()
                    await self.news.wait()

    async def _follow(self, reader: AIOKafkaConsumer) -> None:
        async for record in reader:
            event = json.loads(record.value)
            if event["type"] in ENDS:
                self.load.ended[event["mix_id"]] = event["type"]
                self.news.set()
            elif event["type"] in OUTCOMES:
                self.load.outcomes[event["type"]] += 1

    async def _kill_now_and_then(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            self.victim.kill()
            self.load.kills += 1
            self.victim = Worker(self.place, "victim", self.environment)

    async def _sample(self) -> None:
        began = time.monotonic()
        while True:
            for role in self.watched.values():
                role.check()
            self.samples.append(await asyncio.to_thread(self._look, began))
            await asyncio.sleep(SAMPLE_EVERY_S)

    def _look(self, began: float) -> Sample:
        pids = {name: role.pid for name, role in self.watched.items()}
        return Sample(
            at_s=time.monotonic() - began,
            files={name: open_files(pid) for name, pid in pids.items()},
            rss={name: rss_bytes(pid) for name, pid in pids.items()},
            zombies=set[int]().union(*map(zombies, pids.values())),
            disk=_disk(self.place.artifacts),
        )


def soak(folder: Path, seconds: float) -> list[Figure]:
    """Run it all in `folder`, and say what came of it."""
    broken = folder / "broken.mp4"
    broken.write_bytes(b"nothing that decodes" * 1000)
    with kafka(folder / "kafka") as bootstrap, ExitStack() as cleanup:
        place = Place(bootstrap, folder, ROOT)
        environment = {
            "RENDER_KAFKA_BOOTSTRAP": bootstrap,
            "RENDER_ARTIFACTS_DIR": str(place.artifacts),
            "RENDER_MEDIA_ROOTS": f"{ROOT}:{folder}",
            "RENDER_CLIP_CONCURRENCY": "2",
            "RENDER_ALLOW_CIDRS": "127.0.0.0/8",
            "RENDER_METRICS_PORT": "0",
            "RENDER_API_PORT": "0",
            "RENDER_GC_EVERY_MINUTES": "1",
            "RENDER_KEEP_CLIPS_DAYS": str(KEEP_DAYS),
            "RENDER_KEEP_VIDEOS_DAYS": str(KEEP_DAYS),
        }
        serve = Worker(place, "serve", environment, "serve")
        cleanup.callback(serve.stop)
        worker = Worker(place, "worker", environment)
        cleanup.callback(worker.stop)
        parts = Soak(
            place,
            environment,
            {"serve": serve, "worker": worker},
            Worker(place, "victim", environment),
            broken,
        )
        # Whichever it is by then.
        cleanup.callback(lambda: parts.victim.stop())  # noqa: PLW0108
        asyncio.run(parts.run(seconds))
        left = _left_after_gc(place, environment)
    return list(_figures(parts, left))


def _mix(number: int, broken: Path) -> dict[str, Any]:
    """A mix of a few short lines; every fourth line has a bad source first, of one of three kinds."""
    bad = ("media/samples/nowhere.mp4", broken.as_uri(), "http://127.0.0.1:9/a.mp4")
    lines = []
    for index in range(LINES):
        serial = number * LINES + index
        sample = SAMPLES[serial % len(SAMPLES)]
        good = {
            "video_id": sample.name,
            "uri": f"media/samples/{sample.file}",
            # Never the same again: nothing is to be recalled.
            "start_ms": serial % 20_000,
        }
        candidates = [good]
        if serial % 4 == 0:
            candidates.insert(0, {"video_id": "bad", "uri": bad[serial // 4 % len(bad)], "start_ms": serial})
        lines.append(
            {
                "text": f"line {serial}",
                "start_ms": index * LINE_MS,
                "end_ms": (index + 1) * LINE_MS,
                "candidates": candidates if serial % 40 else [],
            }
        )
    profile = {"width": 320, "height": 180, "fps": "30", "quality": "draft"}
    return {"mix_id": f"soak-{number}", "profile": profile, "lines": lines}


def _disk(folder: Path) -> int:
    """Bytes of all files of a folder that others change meanwhile."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(Path(path, name)).st_blocks * 512
    return total


def _left_after_gc(place: Place, environment: dict[str, str]) -> int:
    """Bytes of clips and videos that are there when all mixes are long over and `clipfold gc` has run."""
    time.sleep(KEEP_DAYS * 86_400 + 1)
    command = [sys.executable, "-m", "stream_app.cli", "gc", "--json"]
    give_up_at = time.monotonic() + LAST_MIXES_S
    while True:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        # A worker may be at it at this very moment.
        if done.returncode == 0:
            return _disk(place.artifacts / "clips") + _disk(place.artifacts / "mixes")
        if time.monotonic() > give_up_at:
            raise RuntimeError(done.stderr)
        time.sleep(1)


def _figures(parts: Soak, left: int) -> Iterator[Figure]:
    load = parts.load
    lost = len(load.asked) - sum(end == "mix-rendered" for end in load.ended.values())
    how = f"{len(load.asked)} mixes, {sum(load.outcomes.values())} outcomes of lines"
    placeholders, failed = load.outcomes["clip-placeholder"], load.outcomes["clip-attempt-failed"]
    yield at_most(
        "mixes that did not become a video",
        0,
        lost,
        f"{how}, {placeholders} placeholders, {failed} failed attempts, {load.kills} kill -9 of a worker",
    )
    # The first third is for caches, pools and code that is used for the first time.
    steady = parts.samples[len(parts.samples) // 3 :]
    third = len(steady) // 3
    for name in parts.watched:
        files = [sample.files[name] for sample in steady]
        change = statistics.median(files[-third:]) - statistics.median(files[:third])
        seen = f"median of the first and last third of {len(steady)} samples; {min(files)} to {max(files)}"
        yield at_most(f"open files of {name}, change", 5, abs(change), seen)
    for name in parts.watched:
        minutes = [sample.at_s / 60 for sample in steady]
        sizes = [sample.rss[name] / MB for sample in steady]
        slope = statistics.linear_regression(minutes, sizes).slope
        seen = f"least squares; {sizes[0]:.0f} MB, in the end {sizes[-1]:.0f} MB"
        yield at_most(f"memory of {name}, growth a minute", 1, slope, seen, " MB")
    pairs = pairwise(sample.zombies for sample in parts.samples)
    lasting = set[int]().union(*(before & after for before, after in pairs))
    yield at_most("zombies", 0, len(lasting), f"seen in two samples, {SAMPLE_EVERY_S:g} s apart")
    disk = [sample.disk for sample in steady]
    halves = max(disk[: len(disk) // 2]), max(disk[len(disk) // 2 :])
    seen = f"most of the second half over most of the first; {halves[0] / MB:.0f} MB, {halves[1] / MB:.0f} MB"
    yield at_most("artifacts on disk, growth", 1.25, halves[1] / halves[0], seen)
    yield at_most(
        "clips and videos left after gc", 1, left / MB, "all mixes long over; recipes and folders", " MB"
    )


if __name__ == "__main__":
    sys.exit(main())
