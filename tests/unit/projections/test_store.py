import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from projections.fold import LogReplacedError
from projections.rebuild import differences, digest
from projections.store import Store
from stream_app.domain.errors import OwnFaultError, UsageError
from stream_app.kafka.record import Record
from tests.unit.projections.histories import Log
from tests.unit.projections.reading import told

WORKER = """
import sys
from pathlib import Path
from projections.store import Store
from tests.unit.projections.test_store import long_history
records = long_history()
with Store(Path(sys.argv[1])) as store:
    start = store.positions().get(("mix-events", 0), 0)
    for i in range(max(0, start - 5), len(records), 7):
        store.fold(records[i : i + 7])
        print(i, flush=True)
        if i % 3 == 0:
            store.roll_up()
    store.roll_up()
"""


def long_history() -> list[Record]:
    log = Log()
    for n in range(60):
        mix = log.mix(f"m{n}")
        mix.accepted("a", "b")
        mix.completed("a", n, n + 30)
        mix.placeholder("b", n + 40)
        mix.rendered(n + 50)
    return log.records


def test_a_kill_at_any_moment_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - moments to kill at, no secret
    path = tmp_path / "private.duckdb"
    kills = 0
    for _ in range(6):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout
        for _ in range(chance.randint(1, 5)):
            worker.stdout.readline()
        time.sleep(chance.random() / 50)
        with contextlib.suppress(ProcessLookupError):
            worker.send_signal(signal.SIGKILL)
        worker.communicate(timeout=30)
        kills += worker.returncode == -signal.SIGKILL
    assert kills >= 3
    end = subprocess.run(
        [sys.executable, "-c", WORKER, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert end.returncode == 0, end.stderr
    fresh = tmp_path / "fresh.duckdb"
    with Store(fresh) as store:
        told(store, long_history())
    assert differences(path, fresh) == []


def test_differences_names_the_rows_and_the_file(tmp_path: Path) -> None:
    records = long_history()
    for name, part in (("live", records), ("rebuilt", records[:-1])):
        with Store(tmp_path / name) as store:
            told(store, part)
    found = differences(tmp_path / "live", tmp_path / "rebuilt")
    assert {(d.table, d.only_in.name) for d in found} == {
        ("render_jobs", "live"),
        ("render_jobs", "rebuilt"),
        ("events", "live"),
    }
    assert all("m59" in difference.row for difference in found)


def test_a_config_that_kafka_has_forgotten_is_no_difference(tmp_path: Path) -> None:
    log = Log()
    for retries in range(3):
        log.config({"max_retry": retries})
    for name, part in (("live", log.records), ("rebuilt", log.records[2:])):
        with Store(tmp_path / name) as store:
            told(store, part)
    assert differences(tmp_path / "live", tmp_path / "rebuilt") == []
    assert differences(tmp_path / "rebuilt", tmp_path / "live") != []


def test_a_second_process_is_told_that_the_file_is_taken(store: Store) -> None:
    with pytest.raises(UsageError, match="another process"):
        Store(store.path)


def test_what_was_folded_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "private.duckdb"
    records = long_history()
    with Store(path) as store:
        assert store.fold(records[:100]) == 100
        store.reopen()
        assert store.positions() == {("mix-events", 0): 100}
    with Store(path) as store:
        assert store.fold(records) == len(records) - 100
        assert store.fold(records) == 0


@pytest.mark.parametrize("damage", ["magic", "middle", "cut", "empty"])
def test_a_damaged_file_is_put_aside_and_folded_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "private.duckdb"
    records = long_history()
    with Store(path) as store:
        told(store, records[:100])
    _damage(path, damage)
    with Store(path) as store:
        assert store.positions() == {}
        told(store, records)
        found = digest(store.con)
    with Store(tmp_path / "fresh.duckdb") as store:
        told(store, records)
        assert digest(store.con) == found
    if damage != "empty":
        assert list(tmp_path.glob("*.aside"))


def _damage(path: Path, damage: str) -> None:
    size = path.stat().st_size
    match damage:
        case "magic":
            with path.open("r+b") as file:
                file.write(b"\0" * 8192)
        case "middle":
            with path.open("r+b") as file:
                file.seek(12288)
                file.write(os.urandom(size - 12288))
        case "cut":
            os.truncate(path, 12288 + 1000)
        case "empty":
            os.truncate(path, 0)


DIE_WITH_A_WAL = """
import os, sys
from pathlib import Path
from projections.store import Store
from tests.unit.projections.test_store import long_history
records = long_history()
store = Store(Path(sys.argv[1]))
store.fold(records[:100])
store.con.execute("CHECKPOINT")
for start in range(100, 200, 10):
    store.fold(records[start : start + 10])
os._exit(9)
"""


def test_a_damaged_wal_is_put_aside_and_the_file_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "private.duckdb"
    subprocess.run([sys.executable, "-c", DIE_WITH_A_WAL, str(path)], check=False, timeout=30)
    wal = path.with_name("private.duckdb.wal")
    content = bytearray(wal.read_bytes())
    content[len(content) // 2] ^= 0xFF
    wal.write_bytes(content)
    with Store(path) as store:
        assert store.positions()["mix-events", 0] in range(100, 200)
        told(store, long_history())
        found = digest(store.con)
    with Store(tmp_path / "fresh.duckdb") as store:
        told(store, long_history())
        assert digest(store.con) == found
    assert (tmp_path / "private.duckdb.wal.aside").exists()


def test_a_file_that_cannot_be_had_is_not_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "private.duckdb"
    with Store(path):
        pass
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(OwnFaultError, match="lock"):
            Store(path)
        assert not list(tmp_path.glob("*.aside"))
    finally:
        holder.communicate(timeout=10)
    with Store(path):
        pass


def test_tables_of_another_version_are_folded_anew(tmp_path: Path) -> None:
    path = tmp_path / "private.duckdb"
    with Store(path) as store:
        told(store, long_history())
        store.con.execute("UPDATE fold.version SET version = 0")
    with Store(path) as store:
        assert store.positions() == {}


def test_a_stranger_s_database_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "private.duckdb"
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE mine AS SELECT 42 AS answer")
    with Store(path) as store:
        assert store.positions() == {}
    with duckdb.connect(tmp_path / "private.duckdb.aside") as con:
        assert con.execute("FROM mine").fetchall() == [(42,)]


def test_a_log_that_was_made_anew_is_noticed(store: Store) -> None:
    records = long_history()
    store.fold(records[:10])
    other = Log()
    for n in range(20):
        other.mix(f"other{n}").accepted("a")
    with pytest.raises(LogReplacedError, match="mix-events/0/9"):
        store.fold(other.records[9:])
    assert store.fold(records[9:]) == len(records) - 10


def test_a_fold_that_fails_leaves_nothing_behind(store: Store) -> None:
    records = long_history()
    store.fold(records[:10])
    store.con.execute("ALTER TABLE fold.incoming DROP COLUMN raw")
    with pytest.raises(duckdb.Error):
        store.fold(records)
    store.reopen()
    assert store.positions() == {("mix-events", 0): 10}
    store.start_over("the test broke it")
    assert store.fold(records) == len(records)
