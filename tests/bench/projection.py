"""Measures the projection: how fast it folds, rebuilds and publishes, and how soon an event can be seen.

    python tests/bench/projection.py [--rounds N] [--only PART ...] [--write]

The limit that the fold is measured against is what DuckDB alone does with the same events on as many threads:
`read_json` with the columns given, the split into facts, and the same roll-up. It reads a file instead of
records, validates nothing, keeps no event as it came, and has no positions to keep.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import duckdb
from config import serve
from history import records
from processes import MB, PeakMemory
from report import Figure, as_text, at_least, at_most, machine, write_table
from sources import ROOT
from stack import Place, kafka

from projections.publish import Publisher
from projections.schema import sql_of
from projections.store import Store
from stream_app.kafka.clients import make_producer
from stream_app.kafka.record import Record
from stream_app.kafka.topology import create_topics
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from topics.registry import MIX_EVENTS

FOLDED = 100_000
BATCH = 5_000
SIZES = (10_000, 100_000, 1_000_000)
FEW = 400
"""A mix on each partition. Replaying so few takes as long as what is the same for all sizes. A replay of
nothing takes longer: its question for the partitions' ends waits behind an idle fetch."""
TIMES = {FEW: 5, 10_000: 5, 100_000: 2, 1_000_000: 1}
"""Replays of each size in a round."""

REPLAY_TIMEOUT_S = 600
SEEN = 300
SEND_EVERY_S = 0.1

COLUMNS = {
    **dict.fromkeys(("kafka_partition",), "INTEGER"),
    **dict.fromkeys(
        (
            *("kafka_offset", "at_ms", "submitted_at_ms", "revision", "config_version", "clip_index"),
            *("candidate_index", "attempt", "parallel_slot", "started_at_ms", "finished_at_ms", "bytes"),
            *("frames", "duration_ms", "first_source_ms", "last_source_ms"),
        ),
        "BIGINT",
    ),
    **dict.fromkeys(
        (
            *("type", "event_id", "mix_id", "trace_id", "clip_task_id", "video_id", "worker", "reason"),
            *("error", "fallback_reason", "message", "uri", "sha256", "method", "isolation"),
        ),
        "VARCHAR",
    ),
    "retryable": "BOOLEAN",
    "lines": "STRUCT(line_id VARCHAR, clip_task_id VARCHAR, clip_index BIGINT, start_frame BIGINT, "
    "frames BIGINT, extend_frames BIGINT, text VARCHAR, start_ms BIGINT, end_ms BIGINT)[]",
}

SPLIT = """
INSERT INTO fold.mix_facts
SELECT 1, mix_id, kafka_partition, kafka_offset, type, at_ms, submitted_at_ms, revision, trace_id, uri,
    sha256, bytes, frames, duration_ms, reason, message
FROM event WHERE type LIKE 'mix-%';
INSERT INTO fold.line_facts
SELECT 1, mix_id, kafka_partition, kafka_offset, unnest(line)
FROM (SELECT *, unnest(lines) AS line FROM event WHERE type = 'mix-accepted');
INSERT INTO fold.clip_facts
SELECT 1, mix_id, kafka_partition, kafka_offset, type, at_ms, clip_task_id, clip_index, video_id,
    candidate_index, attempt, coalesce(fallback_reason, reason), error, retryable, worker, parallel_slot,
    started_at_ms, finished_at_ms, config_version, uri, sha256, bytes, method, isolation, first_source_ms,
    last_source_ms
FROM event WHERE type LIKE 'clip-%';
CREATE TEMP TABLE touched AS SELECT DISTINCT mix_id FROM event;
SET VARIABLE since = 0;
"""


@dataclass
class Bench:
    """What every part needs, and what it found."""

    folder: Path
    rounds: int
    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """Note a figure and show it."""
        self.figures.append(figure)
        say(f"   {figure.name}: {figure.measured} (must {figure.must or 'nothing'})  [{figure.how}]")

    @contextmanager
    def unchecked_store(self, name: str) -> Iterator[Store]:
        """A fresh private file that makes no checkpoint: those count as publishing and as rebuilding."""
        with Store(self.folder / f"{name}-{time.monotonic_ns()}.duckdb") as store:
            store.con.execute("SET wal_autocheckpoint = '1GiB'")
            yield store
        store.path.unlink()


def say(text: str = "") -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def measure_fold(bench: Bench) -> None:
    """The fold against what DuckDB alone does with the same events, in turn."""
    log = records(FOLDED)
    lines = bench.folder / "events.jsonl"
    with lines.open("wb") as out:
        out.writelines(_line(record) for record in log)
    pairs = []
    for _ in range(bench.rounds):
        with bench.unchecked_store("limit") as store:
            limit_s = _seconds(lambda store=store: _duckdb_alone(store, lines))
        with bench.unchecked_store("fold") as store:
            ours_s = _seconds(lambda store=store: _fold(store, log))
        pairs.append((ours_s, limit_s))
    rates = ", ".join(f"{FOLDED / ours / 1000:.0f}/{FOLDED / limit / 1000:.0f}" for ours, limit in pairs)
    how = f"{FOLDED:,} events in batches of {BATCH:,}, one thread each; thousand events a second: {rates}"
    share = median(limit / ours for ours, limit in pairs)
    bench.add(at_least("fold, share of DuckDB alone", 0.35, share, how))


def _line(record: Record) -> bytes:
    head = b'{"kafka_partition":%d,"kafka_offset":%d,' % (record.ref.partition, record.ref.offset)
    return head + (record.value or b"{}")[1:] + b"\n"


def _batches(log: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    return (log[start : start + size] for start in range(0, len(log), size))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _duckdb_alone(store: Store, lines: Path) -> None:
    store.con.begin()
    store.con.execute(
        "CREATE TEMP TABLE event AS FROM read_json(?, format = 'newline_delimited', columns = ?)",
        [str(lines), COLUMNS],
    )
    store.con.execute(SPLIT)
    store.con.execute(sql_of("roll_up"))
    store.con.commit()


def _fold(store: Store, log: Sequence[Record]) -> None:
    for batch in _batches(log, BATCH):
        store.fold(batch)
    store.roll_up()


def measure_rebuild(bench: Bench) -> None:
    """`clipfold replay` of three logs, each in a Kafka of its own, in turn; publishing the largest."""
    with ExitStack() as running:
        logs = {size: _log_of(bench, size, running) for size in (FEW, *SIZES)}
        rounds = [
            {size: _replay(settings, size, TIMES[size]) for size, settings in logs.items()}
            for _ in range(bench.rounds)
        ]
        told = (
            " ".join(f"{size:,}: {replayed.seconds:.2f} s" for size, replayed in each.items())
            for each in rounds
        )
        say("   " + "\n   ".join(told))
        few_s = median(each[FEW].seconds for each in rounds)
        costs_us = [
            median((each[size].seconds - each[FEW].seconds) / (size - FEW) * 1e6 for each in rounds)
            for size in SIZES
        ]
        by_size = ", ".join(f"{size:,}: {cost:.0f}" for size, cost in zip(SIZES, costs_us, strict=True))
        how = f"microseconds an event, {by_size}; beyond the {few_s:.2f} s that {FEW} take"
        flat = max(costs_us) / min(costs_us)
        bench.add(at_most("rebuild, time per event, largest/smallest", 1.3, flat, how))
        peak = max(each[SIZES[-1]].peak_bytes for each in rounds)
        bench.add(at_most(f"memory of a rebuild of {SIZES[-1]:,} events", 1000, peak / MB, "peak PSS", " MB"))
        published = _publishing(bench, _target(logs[SIZES[-1]], SIZES[-1]))
    bench.add(at_most(f"publishing with {SIZES[-1]:,} events in the file", 0.5, *published, " s"))


def _log_of(bench: Bench, size: int, running: ExitStack) -> Settings:
    """A Kafka of its own that holds so many events."""
    bootstrap = running.enter_context(kafka(bench.folder / f"kafka-{size}"))
    settings = Settings(kafka_bootstrap=bootstrap, artifacts_dir=bench.folder / f"rebuild-{size}")
    asyncio.run(create_topics(settings))
    asyncio.run(_fill(settings, size))
    return settings


def _target(settings: Settings, size: int) -> Path:
    return settings.artifacts_dir / f"replayed-{size}.duckdb"


async def _fill(settings: Settings, size: int) -> None:
    producer = make_producer(settings)
    await producer.start()
    try:
        for batch in _batches(records(size), BATCH):
            sent = [
                await producer.send(MIX_EVENTS.name, record.value, record.key, partition=record.ref.partition)
                for record in batch
            ]
            await asyncio.wait_for(asyncio.gather(*sent), 60)
    finally:
        await producer.stop()


@dataclass(frozen=True)
class Replayed:
    """Seconds that the command says it took, the median of some times, and its peak memory in bytes."""

    seconds: float
    peak_bytes: int


def _replay(settings: Settings, size: int, times: int) -> Replayed:
    environment = {
        **os.environ,
        "RENDER_KAFKA_BOOTSTRAP": settings.kafka_bootstrap or "",
        "RENDER_ARTIFACTS_DIR": str(settings.artifacts_dir),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "stream_app.cli", "replay", "--json"]
    target, took_s, peak = _target(settings, size), [], 0
    for _ in range(times):
        target.unlink(missing_ok=True)
        process = subprocess.Popen(
            [*command, "--to", str(target)], cwd=ROOT, env=environment, stdout=subprocess.PIPE
        )
        with PeakMemory(process.pid) as memory:
            told, _ = process.communicate(timeout=REPLAY_TIMEOUT_S)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        try:
            facts = json.loads(told)
        except ValueError as error:
            raise RuntimeError(f"{command} printed {told[:500]!r}") from error
        if facts["records"] < size:
            raise RuntimeError(f"{facts['records']} of {size} records were folded")
        took_s.append(facts["seconds"])
        peak = max(peak, memory.total)
    return Replayed(median(took_s), peak)


def _publishing(bench: Bench, file: Path) -> tuple[float, str]:
    """Seconds of a publication after one more mix, and how that was measured."""
    snapshot = bench.folder / "snapshot.duckdb"
    costs = []
    with Store(file) as store:
        publisher = Publisher(store, snapshot)
        publisher.publish()
        more = records(SIZES[-1] + 24 * 10)[SIZES[-1] :]
        for batch in _batches(more, 24):
            store.fold(batch)
            costs.append(_seconds(publisher.publish))
    how = f"after one more mix each time; worst {max(costs):.2f} s, file {file.stat().st_size / MB:.0f} MB"
    return median(costs), how


def measure_seen(bench: Bench) -> None:
    """From the moment Kafka has an event until a reader of the snapshot sees it."""
    with kafka(bench.folder / "kafka-seen") as bootstrap:
        place = Place(bootstrap, bench.folder / "seen", bench.folder)
        with serve(place):
            settings = Settings(kafka_bootstrap=bootstrap, artifacts_dir=place.artifacts)
            delays = asyncio.run(asyncio.wait_for(_watch(settings), 300))
    cuts = quantiles(delays, n=100)
    how = f"{SEEN} events, {1 / SEND_EVERY_S:.0f} a second; median {cuts[49]:.2f} s"
    bench.add(at_most("event produced -> in the snapshot, p99", 2, cuts[98], how, " s"))


async def _watch(settings: Settings) -> list[float]:
    """Seconds until each event could be seen, by somebody who looks all the time."""
    sent: dict[str, float] = {}
    delays: list[float] = []
    writer = Writer(settings, "bench")
    await writer.start()
    try:
        looking = asyncio.create_task(_look(settings.snapshot_path, sent, delays))
        for record in records(SEEN):
            await writer.send(MIX_EVENTS.name, record.key, record.value, partition=record.ref.partition)
            sent[json.loads(record.value or b"{}")["event_id"]] = time.monotonic()
            await asyncio.sleep(SEND_EVERY_S)
        await looking
    finally:
        await writer.stop()
    return delays


async def _look(snapshot: Path, sent: dict[str, float], delays: list[float]) -> None:
    while len(delays) < SEEN:
        seen = await asyncio.to_thread(_event_ids, snapshot)
        now = time.monotonic()
        delays.extend(now - sent.pop(event_id) for event_id in seen & sent.keys())
        await asyncio.sleep(0.02)


def _event_ids(snapshot: Path) -> set[str]:
    if not snapshot.exists():
        return set()
    with duckdb.connect(snapshot, read_only=True) as con:
        return {event_id for (event_id,) in con.execute("SELECT event_id FROM events").fetchall()}


PARTS: dict[str, Callable[[Bench], None]] = {
    "fold": measure_fold,
    "rebuild": measure_rebuild,
    "seen": measure_seen,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and print the table; 1 when a figure does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each pair (default 3)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts only")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    chosen = parser.parse_args(arguments)
    where = machine()
    say(where)
    with tempfile.TemporaryDirectory(prefix="clipfold-bench.") as folder:
        bench = Bench(Path(folder), chosen.rounds)
        for part in chosen.only:
            say(f"== {part}")
            PARTS[part](bench)
    say()
    say(as_text(bench.figures))
    if chosen.write:
        write_table("projection", datetime.now(UTC).date().isoformat(), where, bench.figures)
    return int(any(figure.holds is False for figure in bench.figures))


if __name__ == "__main__":
    sys.exit(main())
