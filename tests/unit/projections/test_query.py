from pathlib import Path

import pytest

from projections.publish import Publisher
from projections.query import SqlError, SqlTimeoutError, run_sql
from projections.store import Store
from stream_app.domain.errors import UsageError
from tests.unit.projections.histories import Log


@pytest.fixture
def snapshot(store: Store, tmp_path: Path) -> Path:
    log = Log()
    log.mix().accepted("a")
    store.fold(log.records)
    target = tmp_path / "out" / "clipfold.duckdb"
    Publisher(store, target).publish()
    return target


def test_it_returns_columns_and_rows(snapshot: Path) -> None:
    result = run_sql(
        snapshot, "SELECT id, status, epoch_ms(0) AS t, '\\xFF'::BLOB AS b, 'nan'::DOUBLE FROM render_jobs"
    )
    assert result.columns[:4] == ("id", "status", "t", "b")
    assert result.rows == (("m1", "rendering", "1970-01-01T00:00:00", "ff", "nan"),)
    assert not result.truncated


def test_a_snapshot_named_relative_to_the_working_directory(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(snapshot.parent)
    assert run_sql(Path(snapshot.name), "SELECT 1").rows == ((1,),)


def test_rows_beyond_the_limit_are_left_out_and_it_says_so(snapshot: Path) -> None:
    result = run_sql(snapshot, "FROM range(5)", max_rows=3)
    assert result.rows == ((0,), (1,), (2,))
    assert result.truncated


def test_without_a_snapshot_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="clipfold serve"):
        run_sql(tmp_path / "none.duckdb", "SELECT 1")


def test_what_is_wrong_with_the_sql_is_said_in_duckdbs_words(snapshot: Path) -> None:
    with pytest.raises(SqlError, match='"statsu" not found'):
        run_sql(snapshot, "SELECT statsu FROM render_jobs")


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('/etc/passwd')",
        "FROM read_text('/etc/passwd')",
        "FROM '/etc/passwd'",
        "FROM glob('/etc/*')",
        "COPY events TO '{folder}/stolen.csv'",
        "EXPORT DATABASE '{folder}/stolen'",
        "ATTACH '{folder}/other.duckdb'",
        "ATTACH '{snapshot}' AS again (READ_WRITE)",
        "INSTALL httpfs",
        "LOAD httpfs",
        "WITH x AS (INSERT INTO snapshot_info BY NAME (SELECT 'a' AS topic) RETURNING topic) FROM x",
        "DELETE FROM render_jobs",
        "CREATE TABLE mine (a INTEGER)",
        "SET memory_limit = '100GB'",
        "SET max_execution_time = 0",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "SELECT 1; DELETE FROM render_jobs",
        "FROM order_of_the_child",
    ],
)
def test_writing_and_reaching_out_are_refused(snapshot: Path, sql: str) -> None:
    before = snapshot.read_bytes()
    there = set(snapshot.parent.iterdir())
    with pytest.raises(SqlError):
        run_sql(snapshot, sql.format(folder=snapshot.parent, snapshot=snapshot))
    assert snapshot.read_bytes() == before
    assert set(snapshot.parent.iterdir()) == there


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    ],
)
def test_a_query_without_end_is_ended(snapshot: Path, sql: str) -> None:
    with pytest.raises(SqlTimeoutError, match=r"longer than 0\.5 s"):
        run_sql(snapshot, sql, timeout_s=0.5)


@pytest.mark.parametrize(
    "sql", ["SELECT list(range) FROM range(1000000000)", "SELECT repeat('x', 5000000) FROM range(2000)"]
)
def test_a_greedy_query_is_refused(snapshot: Path, sql: str) -> None:
    with pytest.raises(SqlError):
        run_sql(snapshot, sql, memory_mb=128, timeout_s=20)
