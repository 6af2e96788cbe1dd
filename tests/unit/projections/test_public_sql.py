"""What users type works: the contract's queries, bare column names, comments, other tools' old versions."""

import json
from pathlib import Path

import duckdb
import pytest

from projections.publish import Publisher
from projections.store import Store
from projections.tables import PUBLIC_TABLES, Table
from tests.unit.projections.histories import Log

PARALLELISM_OF_THE_LATEST = """
SELECT id, json_extract(metrics, '$.render.clip_stats.peak_parallelism') AS peak_parallelism,
       json_extract(metrics, '$.render.clip_stats.placeholder_tasks') AS placeholder_tasks,
       json_extract(metrics, '$.render.clip_stats.total_clips') AS total_clips
FROM render_jobs ORDER BY submitted_at DESC LIMIT 1;
"""
PLACEHOLDERS_OF_THE_LATEST = """
SELECT json_extract(metrics, '$.render.clip_stats.placeholder_tasks') AS placeholder_tasks,
       json_extract(metrics, '$.render.clip_stats.failed_tasks') AS failed_tasks,
       json_extract(metrics, '$.render.clip_stats.fallback_reason_counts') AS fallback_reason_counts
FROM render_jobs ORDER BY submitted_at DESC LIMIT 1;
"""


@pytest.fixture
def snapshot(store: Store, tmp_path: Path) -> Path:
    log = Log()
    log.mix("older").accepted("a")
    mix = log.mix("latest")
    mix.accepted("a", "b", "c", at_ms=1)
    mix.completed("a", 0, 20)
    mix.failed("b", 10, 20)
    mix.placeholder("b", 30, "cdn_error")
    mix.placeholder("c", 30, "no_candidates")
    log.config({"max_retry": 1})
    store.fold(log.records)
    target = tmp_path / "clipfold.duckdb"
    Publisher(store, target).publish({("mix-events", 1): 4})
    return target


def test_the_queries_of_the_contract_run_verbatim(snapshot: Path) -> None:
    with duckdb.connect(snapshot, read_only=True) as con:
        assert con.execute(PARALLELISM_OF_THE_LATEST).fetchall() == [("latest", "2", "2", "3")]
        placeholders, failed, reasons = con.execute(PLACEHOLDERS_OF_THE_LATEST).fetchall()[0]
        assert (placeholders, failed) == ("2", "1")
        assert json.loads(reasons) == {"cdn_error": 1, "no_candidates": 1}


@pytest.mark.parametrize("table", PUBLIC_TABLES, ids=lambda table: table.name)
def test_every_column_can_be_typed_without_quotes_and_says_what_it_means(
    snapshot: Path, table: Table
) -> None:
    with duckdb.connect(snapshot, read_only=True) as con:
        for name, _, meaning in table.columns:
            con.execute(f"SELECT {name}, t.{name} AS {name} FROM {table.name} t ORDER BY {name}").fetchall()
            comments = con.execute(
                "SELECT comment FROM duckdb_columns() WHERE table_name = ? AND column_name = ?",
                [table.name, name],
            ).fetchall()
            assert comments == [(meaning,)]
        (of_table,) = con.execute(
            "SELECT comment FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = ?", [table.name]
        ).fetchall()
        assert of_table == (table.meaning,)


def test_users_see_the_public_tables_and_no_others(snapshot: Path) -> None:
    with duckdb.connect(snapshot, read_only=True) as con:
        assert {name for (name,) in con.execute("SHOW TABLES").fetchall()} == {t.name for t in PUBLIC_TABLES}


def test_the_snapshot_says_how_far_it_goes(snapshot: Path) -> None:
    with duckdb.connect(snapshot, read_only=True) as con:
        rows = con.execute(
            "SELECT topic, kafka_partition, next_offset, end_offset, lag FROM snapshot_info ORDER BY ALL"
        ).fetchall()
    assert rows == [("mix-events", 0, 6, 6, 0), ("mix-events", 1, 0, 4, 4), ("render-config", 0, 1, 1, 0)]


def test_the_file_is_in_a_format_that_every_duckdb_of_users_knows(snapshot: Path) -> None:
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{snapshot}' AS s (READ_ONLY)")
        tags = con.execute("SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 's'")
        assert str(tags.fetchall()[0][0]).startswith("v1.3.0")
