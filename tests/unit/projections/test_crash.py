"""The projection is killed at each step of its work, and goes on as if nothing had been."""

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from projections.rebuild import differences
from projections.store import Store
from tests.unit.projections.reading import told
from tests.unit.projections.test_store import long_history

CHILD = """
import importlib, os, signal, sys
from pathlib import Path
from projections.publish import Publisher
from projections.store import Store
from tests.unit.projections.test_store import long_history

path, target, step, when, times = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5])
left = times

def die():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

if times:
    module, _, name = step.rpartition(".")
    module = importlib.import_module(module)
    real = getattr(module, name)
    def wrapped(*arguments, **named):
        if when == "before":
            die()
        result = real(*arguments, **named)
        if when == "after":
            die()
        return result
    setattr(module, name, wrapped)

records = long_history()
with Store(path) as store:
    publisher = Publisher(store, target)
    start = store.positions().get(("mix-events", 0), 0)
    for i in range(max(0, start - 5), len(records), 7):
        store.fold(records[i : i + 7])
        if i % 2 == 0:
            publisher.publish()
    publisher.publish()
"""

STEPS = {
    "fetched": ("projections.store.fold", "before"),
    "inserted": ("projections.fold._save_positions", "before"),
    "before the commit": ("projections.fold._save_positions", "after"),
    "committed": ("projections.store.fold", "after"),
    "before a roll-up": ("projections.store.roll_up", "before"),
    "rolled up": ("projections.store.roll_up", "after"),
    "before a checkpoint": ("projections.publish._checkpoint", "before"),
    "before a copy": ("projections.publish._copy", "before"),
    "before a rename": ("projections.publish._copy", "after"),
    "published": ("projections.publish._replace", "after"),
}

WHOLE = """
SELECT (SELECT count(*) FROM render_jobs), (SELECT count(*) FROM clip_stats), (SELECT count(*) FROM events),
    (SELECT sum(next_offset) FROM snapshot_info)
"""


def run(folder: Path, step: str, when: str, times: int) -> int:
    command = [sys.executable, "-c", CHILD, str(folder / "private.duckdb"), str(folder / "out" / "s.duckdb")]
    return subprocess.run([*command, step, when, str(times)], timeout=60, check=False).returncode


@pytest.mark.parametrize("name", STEPS)
def test_a_kill_at_a_step_loses_nothing_and_counts_nothing_twice(name: str, tmp_path: Path) -> None:
    snapshot = tmp_path / "out" / "s.duckdb"
    seen = 0
    for times in (1, 4):
        assert run(tmp_path, *STEPS[name], times) == -signal.SIGKILL
        if snapshot.exists():
            with duckdb.connect(snapshot, read_only=True) as con:
                jobs, stats, events, position = con.execute(WHOLE).fetchone() or ()
            assert jobs == stats
            assert events == position >= seen
            seen = events
    assert run(tmp_path, *STEPS[name], 0) == 0
    with Store(tmp_path / "fresh.duckdb") as store:
        told(store, long_history())
    assert differences(tmp_path / "private.duckdb", tmp_path / "fresh.duckdb") == []
    assert differences(snapshot, tmp_path / "fresh.duckdb") == []
