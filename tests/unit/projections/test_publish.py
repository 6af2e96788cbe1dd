import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest

from projections.publish import Publisher
from projections.store import Store
from stream_app.domain.errors import OwnFaultError
from stream_app.settings import default_home
from tests.unit.projections.histories import Log

# Every read sees one snapshot whole: its tables tell of the same number of mixes, never fewer than before.
READER = """
import sys, duckdb
assert duckdb.__version__.startswith(sys.argv[3]), duckdb.__version__
reads = seen = 0
while reads < int(sys.argv[2]):
    with duckdb.connect(sys.argv[1], read_only=True, config={"threads": 1}) as con:
        jobs, stats, clips, events, position = con.execute(
            "SELECT (SELECT count(*) FROM render_jobs), (SELECT count(*) FROM clip_stats), "
            "(SELECT count(*) FROM clips), (SELECT count(*) FROM events), "
            "(SELECT sum(next_offset) FROM snapshot_info)"
        ).fetchone()
    assert jobs == stats == clips == events == position >= seen, (jobs, stats, clips, events, position)
    seen = jobs
    reads += 1
print(reads, seen)
"""


def client(version: str) -> dict[str, str]:
    """The environment of a Python with that DuckDB, which is fetched once; ours, with no version."""
    if not version:
        return dict(os.environ)
    folder = default_home().parent / "clipfold-tests" / f"duckdb-{version}"
    # Another run of the tests may be at it: a folder is there only when it is complete.
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as made:
            command = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--no-deps"]
            wheel = ["--python", sys.executable, "--target", f"{made}/lib", f"duckdb=={version}"]
            subprocess.run([*command, *wheel], check=True, timeout=300)
            with suppress(OSError):
                Path(made, "lib").rename(folder)
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize("version", ["", "1.4.5", "1.5.6"])
def test_readers_in_other_processes_never_see_a_torn_snapshot(
    store: Store, tmp_path: Path, version: str
) -> None:
    log = Log()
    target = tmp_path / "snapshot" / "clipfold.duckdb"
    publisher = Publisher(store, target, min_interval_s=0)
    log.mix("m").accepted("a")
    store.fold(log.records)
    publisher.publish()
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(target), "100", version],
        env=client(version),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    published = 1
    deadline = time.monotonic() + 120
    while reader.poll() is None and time.monotonic() < deadline:
        log.mix(f"m{published}").accepted("a")
        store.fold(log.records[-1:])
        publisher.publish()
        published += 1
    out, err = reader.communicate(timeout=5)
    assert reader.returncode == 0, err
    reads, seen = map(int, out.split()[-2:])
    assert reads == 100
    assert 1 < seen <= published


def test_a_reader_keeps_the_snapshot_it_opened(store: Store, tmp_path: Path) -> None:
    log = Log()
    target = tmp_path / "clipfold.duckdb"
    publisher = Publisher(store, target)
    publisher.publish()
    held = target.open("rb")
    before = held.read()
    log.mix().accepted("a")
    store.fold(log.records)
    publisher.publish()
    held.seek(0)
    with held:
        assert held.read() == before
    assert target.read_bytes() != before


def test_the_snapshot_is_read_only_and_nothing_is_left_beside_it(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "out" / "clipfold.duckdb"
    Publisher(store, target).publish()
    assert not target.stat().st_mode & 0o222
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_wal_left_by_a_user_breaks_no_later_reader(store: Store, tmp_path: Path) -> None:
    log = Log()
    target = tmp_path / "out" / "clipfold.duckdb"
    publisher = Publisher(store, target)
    publisher.publish()
    vandal = (
        "import duckdb, os, sys\n"
        "con = duckdb.connect(sys.argv[1])\n"
        "con.execute('CREATE TABLE mine AS SELECT 1')\n"
        "os._exit(9)\n"
    )
    target.chmod(0o644)
    subprocess.run([sys.executable, "-c", vandal, str(target)], check=False, timeout=30)
    assert target.with_name("clipfold.duckdb.wal").exists()

    log.mix().accepted("a")
    store.fold(log.records)
    publisher.publish()
    with duckdb.connect(target, read_only=True) as con:
        assert con.execute("SELECT id FROM render_jobs").fetchall() == [("m1",)]


def test_publishing_is_no_more_frequent_than_is_said(store: Store, tmp_path: Path) -> None:
    publisher = Publisher(store, tmp_path / "clipfold.duckdb", min_interval_s=3600)
    assert publisher.is_due(quiet=False)
    publisher.publish()
    publisher.dirty = True
    assert not publisher.is_due(quiet=True)


@pytest.mark.parametrize(
    ("cost_s", "quiet_s", "busy_s"), [(0.01, 0.5, 0.5), (0.04, 0.5, 0.8), (0.2, 0.8, 1.0), (2.0, 8.0, 8.0)]
)
def test_the_next_snapshot_comes_the_later_the_dearer_the_last_was_and_later_while_the_log_is_busy(
    store: Store, monkeypatch: pytest.MonkeyPatch, cost_s: float, quiet_s: float, busy_s: float
) -> None:
    asked = [after + moment for after in (quiet_s, busy_s) for moment in (-0.01, 0.01)]
    moments = iter([100.0, 100 + cost_s, *(100 + cost_s + moment for moment in asked)])
    monkeypatch.setattr("projections.publish.time.monotonic", lambda: next(moments))
    publisher = Publisher(store, store.path.with_name("snapshot.duckdb"))
    publisher.publish()
    publisher.dirty = True
    assert [publisher.is_due(quiet=True), publisher.is_due(quiet=True)] == [False, True]
    assert [publisher.is_due(quiet=False), publisher.is_due(quiet=False)] == [False, True]


def test_when_the_checkpoint_fails_the_old_snapshot_stands(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "out" / "clipfold.duckdb"
    publisher = Publisher(store, target)
    publisher.publish()
    before = target.read_bytes()
    log = Log()
    log.mix().accepted("a")
    store.fold(log.records)
    with store.con.cursor() as other:
        other.begin()
        other.execute("CREATE TABLE unfinished (a INTEGER)")
        with pytest.raises((duckdb.Error, OwnFaultError)):
            publisher.publish()
        other.rollback()
    assert target.read_bytes() == before
    store.reopen()
    publisher.publish()
    assert target.read_bytes() != before


def test_a_leftover_of_a_killed_publisher_is_no_obstacle(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "clipfold.duckdb"
    target.with_name(".clipfold.duckdb.new").write_bytes(b"half")
    Publisher(store, target).publish()
    with duckdb.connect(target, read_only=True) as con:
        assert con.execute("SELECT count(*) FROM events").fetchall() == [(0,)]


def test_publishing_needs_no_main_thread(store: Store, tmp_path: Path) -> None:
    publisher = Publisher(store, tmp_path / "clipfold.duckdb")
    thread = threading.Thread(target=publisher.publish)
    thread.start()
    thread.join(30)
    assert publisher.target.exists()
    assert os.access(publisher.target, os.R_OK)
