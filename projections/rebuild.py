"""Fold the log from its beginning into a fresh file, and compare files: the projection equals the log."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from aiokafka.errors import KafkaError
from duckdb import DuckDBPyConnection

from projections.fold import Place
from projections.log_reader import MakeConsumer, attach
from projections.store import Store
from projections.tables import ATTEMPTS, CLIP_STATS, CLIPS, EVENTS, RENDER_JOBS
from stream_app.domain.errors import OwnFaultError
from stream_app.kafka.record import Record

BATCH = 50_000
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
        await consumer.start()
        ends = await attach(consumer, store.positions())
        stops = {place: min(end, (until or {}).get(place, end)) for place, end in ends.items()}
        return await _fold_to(consumer, store, stops, before_ms)
    finally:
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(consumer.stop(), 10)


async def _fold_to(consumer: object, store: Store, stops: Mapping[Place, int], before_ms: int | None) -> int:
    raise NotImplementedError


def digest(con: DuckDBPyConnection) -> dict[str, str]:
    """For each table that the log decides, its number of rows and a sum over them, in no order."""
    return {
        table.name: "{}:{}".format(
            *con.execute(
                f"SELECT count(*), coalesce(sum(md5_number_lower(to_json(t)::VARCHAR)), 0) FROM {table.name} t"
            ).fetchone()
        )
        for table in COMPARED
    }
