"""Golden logs: what the projection said of them once, it says for ever. No Kafka is needed.

A log is a dump as `clipfold export-log` and `kcat -J` make it. Its expectation lies beside it. After a wanted
change, write the expectations anew with `python -m tests.replay.test_golden_logs`, and read the difference
before keeping it.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from projections.store import Store
from projections.tables import PUBLIC_TABLES, SNAPSHOT_INFO
from stream_app.kafka.dump import read_dump
from stream_app.kafka.record import Record
from tests.recomputed import Record as RawRecord
from tests.recomputed import told_by_events, told_by_tables

GOLDEN = Path(__file__).parent / "golden"
LOGS = sorted(GOLDEN.glob("*.log.jsonl"))


def read_log(path: Path) -> list[Record]:
    with path.open("rb") as lines:
        return list(read_dump(lines, path.name))


def tables_of(records: list[Record]) -> dict[str, list[Any]]:
    """Every public row of the log's tables, as JSON, in one order."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "private.duckdb") as store:
        store.fold(records)
        store.roll_up()
        return {
            table.name: [
                json.loads(row)
                for (row,) in store.con.execute(
                    f"SELECT to_json(r)::VARCHAR FROM {table.name} AS r ORDER BY ALL"
                ).fetchall()
            ]
            for table in PUBLIC_TABLES
            if table is not SNAPSHOT_INFO
        }


def expectation_of(log: Path) -> Path:
    return log.with_name(log.name.replace(".log.jsonl", ".tables.json"))


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
def test_a_golden_log_gives_the_tables_that_it_always_gave(log: Path) -> None:
    assert tables_of(read_log(log)) == json.loads(expectation_of(log).read_text())


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
def test_the_figures_are_what_the_raw_events_say(log: Path, tmp_path: Path) -> None:
    records = read_log(log)
    with Store(tmp_path / "private.duckdb") as store:
        store.fold(records)
        store.roll_up()
        assert told_by_tables(store.con) == told_by_events(map(raw, records))


def raw(record: Record) -> RawRecord:
    try:
        value = json.loads(record.value or b"null")
    except ValueError:
        value = None
    place = (record.ref.topic, record.ref.partition, record.ref.offset)
    return RawRecord(
        *place, record.timestamp_ms, record.key, record.value, value if isinstance(value, dict) else None
    )


def test_there_are_golden_logs() -> None:
    assert LOGS


if __name__ == "__main__":
    for golden in LOGS:
        text = json.dumps(tables_of(read_log(golden)), indent=1, ensure_ascii=False)
        expectation_of(golden).write_text(text + "\n")
