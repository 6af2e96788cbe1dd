"""Fold the log from its beginning into a fresh file, and compare files: the projection equals the log."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from duckdb import DuckDBPyConnection

from projections.fold import Place
from projections.log_reader import LOG_TOPICS, MakeConsumer, attach
from projections.store import ROLL_UP_AFTER, Store
from projections.tables import ATTEMPTS, CLIP_STATS, CLIPS, EVENTS, RENDER_JOBS, Table
from stream_app.domain.errors import OwnFaultError
from stream_app.kafka.record import Record
from topics.registry import RENDER_CONFIG

BATCH = ROLL_UP_AFTER // 6
"""Records folded in one transaction."""

POLL_MS = 500
SILENCE_LIMIT_S = 60.0
"""A log that has more to give and gives nothing for so long is out of reach."""

COMPARED = (RENDER_JOBS, CLIP_STATS, CLIPS, ATTEMPTS, EVENTS)
"""Tables that the log alone decides. `snapshot_info` holds a time of day; `config_history` is told by a
compacted topic, which forgets what was superseded."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that only one of two files has; `row` is JSON."""

    table: str
    only_in: Path
    row: str


async def rebuild(
    make_consumer: MakeConsumer,
    store: Store,
    *,
    until: Mapping[Place, int] | None = None,
    before_ms: int | None = None,
) -> int:
    """Fold every record that the log holds now into `store`, a fresh one, and roll it up.

    Args:
        make_consumer: see `log_reader.MakeConsumer`.
        store: where to; what it has folded already is not folded again.
        until: fold no record at or after these offsets; a partition that is not named goes to its end.
        before_ms: fold no record with a Kafka timestamp at or after this.

    Returns:
        How many records were folded.

    Raises:
        OwnFaultError: the log stopped answering.
        KafkaError: Kafka is out of reach.
    """
    consumer = make_consumer()
    try:
        ends = await attach(consumer, store.positions())
        stops = {place: min(end, (until or {}).get(place, end)) for place, end in ends.items()}
        return await _fold_to(consumer, store, stops, before_ms)
    finally:
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(consumer.stop(), 10)


def fold_records(
    store: Store,
    records: Iterable[Record],
    *,
    until: Mapping[Place, int] | None = None,
    before_ms: int | None = None,
) -> int:
    """Fold records that were read somewhere else into `store`, a fresh one, and roll it up.

    Args:
        store: where to.
        records: in any order; those of other topics than the log's are passed over.
        until: fold no record at or after these offsets.
        before_ms: fold no record with a Kafka timestamp at or after this.

    Returns:
        How many records were folded.
    """
    partitions: dict[Place, list[Record]] = {}
    for record in records:
        if record.ref.topic in LOG_TOPICS:
            partitions.setdefault((record.ref.topic, record.ref.partition), []).append(record)
    folded = 0
    for place, found in partitions.items():
        found.sort(key=lambda record: record.ref)
        wanted, _ = _before(found, (until or {}).get(place, found[-1].ref.offset + 1), before_ms)
        for start in range(0, len(wanted), BATCH):
            folded += store.fold(wanted[start : start + BATCH])
    store.roll_up()
    return folded


async def _fold_to(
    consumer: AIOKafkaConsumer, store: Store, stops: dict[Place, int], before_ms: int | None
) -> int:
    folded = 0
    heard_at = time.monotonic()
    while await _is_behind(consumer, stops):
        batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
        if batches:
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > SILENCE_LIMIT_S:
            raise OwnFaultError(f"Kafka holds more of the log but gave nothing for {SILENCE_LIMIT_S:.0f} s")
        records: list[Record] = []
        for partition, batch in batches.items():
            place = (partition.topic, partition.partition)
            wanted, stops[place] = _before([Record.of(record) for record in batch], stops[place], before_ms)
            records += wanted
        folded += await asyncio.to_thread(store.fold, records)
    await asyncio.to_thread(store.roll_up)
    return folded


async def _is_behind(consumer: AIOKafkaConsumer, stops: Mapping[Place, int]) -> bool:
    for place, stop in stops.items():
        # The consumer's position, not the last record's: compaction leaves gaps.
        if await consumer.position(TopicPartition(*place)) < stop:
            return True
    return False


def _before(records: list[Record], stop: int, before_ms: int | None) -> tuple[list[Record], int]:
    """The records of one partition that are wanted, and where to stop: a late one ends its partition."""
    wanted: list[Record] = []
    for record in records:
        if record.ref.offset >= stop:
            break
        if before_ms is not None and record.timestamp_ms >= before_ms:
            return wanted, record.ref.offset
        wanted.append(record)
    return wanted, stop


def positions_of(snapshot: Path) -> dict[Place, int]:
    """For each partition, the offset up to which a snapshot tells the log."""
    with duckdb.connect(snapshot, read_only=True) as con:
        rows = con.execute("SELECT topic, kafka_partition, next_offset FROM snapshot_info").fetchall()
    return {(topic, partition): next_offset for topic, partition, next_offset in rows}


def digest(con: DuckDBPyConnection) -> dict[str, str]:
    """For each table that the log decides, how many rows it has and a sum over them, in no order."""
    return {table.name: _table_digest(con, table) for table in COMPARED}


def differences(live: Path, rebuilt: Path, *, limit: int = 20) -> list[Difference]:
    """Rows that only one of two files has, up to `limit` for each table and side.

    The files are snapshots, or private ones that no process has open.

    A record of a compacted topic that only `live` has is no difference: Kafka has forgotten it since.
    """
    with duckdb.connect() as con:
        for name, path in (("live", live), ("rebuilt", rebuilt)):
            quoted = str(path).replace("'", "''")
            con.execute(f"ATTACH '{quoted}' AS {name} (READ_ONLY)")
        return [
            difference
            for table in COMPARED
            for difference in (
                *_only_in(con, table, ("live", live), "rebuilt", limit),
                *_only_in(con, table, ("rebuilt", rebuilt), "live", limit),
            )
        ]


def _only_in(
    con: DuckDBPyConnection, table: Table, one: tuple[str, Path], other: str, limit: int
) -> list[Difference]:
    name, path = one
    kept = f"topic != '{RENDER_CONFIG.name}'" if (table, name) == (EVENTS, "live") else "true"
    rows = con.execute(
        f"SELECT to_json(public_row)::VARCHAR FROM (FROM {name}.{table.name} WHERE {kept} "  # noqa: S608 - our names
        f"EXCEPT ALL FROM {other}.{table.name}) AS public_row LIMIT {limit}"
    ).fetchall()
    return [Difference(table.name, path, row) for (row,) in rows]


def _table_digest(con: DuckDBPyConnection, table: Table) -> str:
    row = con.execute(
        "SELECT count(*) || ':' || coalesce(sum(md5_number_lower(to_json(public_row)::VARCHAR)), 0) "  # noqa: S608
        f"FROM {table.name} AS public_row"
    ).fetchone()
    return str(row[0]) if row else ""
