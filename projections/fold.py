"""Fold records of the log: append them as they came, in one transaction with the positions.

Nothing is understood here but what a record's value is: a JSON object or not. What the events mean is for
`roll_up`, so that folding stays as fast as appending.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from duckdb import DuckDBPyConnection

from stream_app.domain.config import config_headers
from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.record import Record
from topics.codec import read_object
from topics.envelope import TYPE_PREFIX, VERSION
from topics.registry import RENDER_CONFIG

Place = tuple[str, int]
"""A topic and a partition of it."""

LAST_MS = 253_402_300_799_999
"""End of the year 9999: what lies beyond is no time, and DuckDB would refuse it."""


class LogReplacedError(ClipfoldError):
    """The log is not the one that was folded: its topic was deleted and made anew, or it is another Kafka."""

    stage = "fold"


def positions(con: DuckDBPyConnection) -> dict[Place, int]:
    """For each partition, the offset of the next record to fold; from the file itself."""
    return {place: next_offset for place, (next_offset, _) in _known(con).items()}


def fold(con: DuckDBPyConnection, records: Sequence[Record]) -> int:
    """Append the records that are new, in one transaction with the positions.

    A record before its partition's position was folded already and is dropped: each counts exactly once,
    however often it is delivered.

    Args:
        con: the private file. After any exception its transaction may be open: roll back and reopen.
        records: of any number of partitions, ascending within each.

    Returns:
        How many records were new.

    Raises:
        LogReplacedError: the last record folded before is another one now.
        duckdb.Error: nothing is known of what was written: only the file's own positions count.
    """
    known = _known(con)
    rows: list[tuple[object, ...]] = []
    last: dict[Place, Record] = {}
    for record in records:
        place = (record.ref.topic, record.ref.partition)
        next_offset, fingerprint = known.get(place, (0, None))
        if record.ref.offset >= next_offset:
            rows.append(_row(record))
            known[place] = (record.ref.offset + 1, None)
            last[place] = record
        elif record.ref.offset == next_offset - 1 and fingerprint not in (None, _fingerprint(record)):
            raise LogReplacedError(
                f"{record.ref} is not the record that was folded: "
                "the topic was made anew, or this is another Kafka"
            )
    if rows:
        con.begin()
        with con.appender("fold.incoming") as appender:
            appender.append_rows(rows)
        _save_positions(con, last)
        con.commit()
    return len(rows)


def _known(con: DuckDBPyConnection) -> dict[Place, tuple[int, str | None]]:
    rows = con.execute("FROM fold.positions").fetchall()
    return {(topic, partition): (offset, last) for topic, partition, offset, last in rows}


def _save_positions(con: DuckDBPyConnection, last: Mapping[Place, Record]) -> None:
    for (topic, partition), record in last.items():
        con.execute("DELETE FROM fold.positions WHERE topic = ? AND kafka_partition = ?", [topic, partition])
        con.execute(
            "INSERT INTO fold.positions VALUES (?, ?, ?, ?)",
            [topic, partition, record.ref.offset + 1, _fingerprint(record)],
        )


def _fingerprint(record: Record) -> str:
    digest = hashlib.sha256(str(record.timestamp_ms).encode())
    digest.update(record.value or b"")
    return digest.hexdigest()


def _row(record: Record) -> tuple[object, ...]:
    text, raw = _value(record.value)
    headers = dict(record.headers)
    return (
        record.ref.topic,
        record.ref.partition,
        record.ref.offset,
        record.timestamp_ms if 0 <= record.timestamp_ms <= LAST_MS else None,
        _text(record.key),
        _text(headers.get("actor")),
        _is_newer(_text(headers.get("ce_type")) or ""),
        json.dumps(config_headers(record.headers)) if record.ref.topic == RENDER_CONFIG.name else None,
        text,
        raw,
    )


def _value(value: bytes | None) -> tuple[str | None, bytes | None]:
    """The value as JSON text, or as bytes when it is no JSON object."""
    if value is None:
        return None, None
    return (value.decode(), None) if isinstance(read_object(value), dict) else (None, value)


def _text(data: bytes | None) -> str | None:
    """Bytes that are no UTF-8 become escapes."""
    return None if data is None else data.decode(errors="backslashreplace")


def _is_newer(ce_type: str) -> bool:
    """Whether the CloudEvents type names a version of ours that this program does not know."""
    return ce_type.startswith(TYPE_PREFIX) and not ce_type.endswith(f".{VERSION}")
