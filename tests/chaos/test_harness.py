"""The harness is proven first: each mutant of the product turns it red, and so does each spoilt finding."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scenarios import SCENARIOS, run
from verdict import Verdict
from world import World, world

from tests.integration.render.roles import ROOT

MUTANT_PATIENCE_S = 12
"""A mutant has lost work for good: nothing is gained by waiting for it longer than a pause may last."""


def test_what_is_committed_before_it_is_produced_is_lost(tmp_path: Path) -> None:
    verdict = run(
        SCENARIOS["kill-worker"],
        tmp_path / "world",
        times=1,
        patience_s=MUTANT_PATIENCE_S,
        workers_wanted=1,
        spoilt={"worker": "commit-before-produce"},
    )

    assert verdict.report["lost"] > 0
    assert "I1" in verdict.broken()
    assert any(finding["record"].startswith("mix-requests/") for finding in verdict.report["findings"])


def test_a_fold_without_dedupe_says_what_the_log_does_not(tmp_path: Path) -> None:
    verdict = run(SCENARIOS["kill-serve"], tmp_path / "world", times=1, spoilt={"serve": "no-dedupe"})

    assert verdict.broken() == {"I4"}
    assert any(finding["message"] == "is 2 times in events" for finding in verdict.report["findings"])


def chaos(folder: Path, *arguments: str) -> dict[str, Any]:
    """The row of one scenario, played by the script."""
    told = subprocess.run(
        [sys.executable, ROOT / "tests/chaos/run.py", *arguments, "--json", folder / "rows.json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (folder / "rows.json").exists(), told.stderr[-3000:]
    (row,) = json.loads((folder / "rows.json").read_text())
    assert told.returncode == bool(row["findings"])
    return dict(row)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no disk of our own can be mounted here")
def test_a_swallowed_full_disk_shows_in_the_pictures(tmp_path: Path) -> None:
    row = chaos(tmp_path, "media-disk-full", "--times", "1", "--spoil", "swallowed-full-disk")

    assert {finding["promise"] for finding in row["findings"]} >= {"I5"}
    assert any("are not those of" in finding["message"] for finding in row["findings"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that has done its work, unharmed, and whose roles have ended."""
    with world(tmp_path_factory.mktemp("finished") / "world") as made:
        made.send(3)
        made.wait_for_ends()
        made.stop()
        yield made


def test_the_product_as_it_is_keeps_every_promise(finished: World) -> None:
    verdict = finished.verify()

    assert verdict.is_green, verdict.table
    assert set(verdict.report["checked"]) == {"I1", "I2", "I3", "I4", "I5", "I6"}
    assert min(verdict.report["checked"].values()) > 0


@pytest.fixture
def spoil(finished: World, tmp_path: Path) -> Callable[[Callable[[Path], None]], Verdict]:
    """Do something to a copy of what is there, and have that judged."""

    def judge(harm: Callable[[Path], None]) -> Verdict:
        (snapshot,) = finished.artifacts.glob("clipfold.duckdb")
        copy = tmp_path / "snapshot.duckdb"
        shutil.copyfile(snapshot, copy)
        harm(copy)
        return finished.verify("--snapshot", str(copy))

    return judge


Spoil = Callable[[Callable[[Path], None]], Verdict]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE clip_stats SET retries = retries + 1 WHERE mix_id = 'load-1'",
        "UPDATE clips SET sha256 = 'x' WHERE mix_id = 'load-1' AND clip_index = 3",
        "DELETE FROM render_jobs WHERE id = 'load-1'",
        "DELETE FROM events WHERE mix_id = 'load-1' AND type = 'mix-rendered'",
        "INSERT INTO render_jobs (id) VALUES ('nobody-asked')",
    ],
)
def test_a_snapshot_that_differs_from_the_log_is_found(spoil: Spoil, harm: str) -> None:
    def change(snapshot: Path) -> None:
        with duckdb.connect(str(snapshot)) as con:
            con.execute(harm)

    assert spoil(change).broken() == {"I4"}


def test_a_request_that_came_to_nothing_is_found(finished: World, tmp_path: Path) -> None:
    entries = finished.ledger.path.read_text()
    forged = json.loads(entries.splitlines()[0]) | {"mix_id": "never-seen", "record": "mix-requests/0/999"}
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(entries + json.dumps(forged) + "\n")

    verdict = finished.verify("--ledger", str(ledger))

    assert verdict.report["lost"] == 2
    assert {finding["record"] for finding in verdict.report["findings"]} == {"mix-requests/0/999"}


@pytest.mark.parametrize("harm", ["gone", "flipped", "left over"])
def test_a_file_that_is_not_as_told_is_found(finished: World, harm: str) -> None:
    clip = next((finished.artifacts / "clips").glob("*.mp4"))
    content = clip.read_bytes()
    left_over = finished.artifacts / "mixes/load-0/r1/.joining-x"
    clip.unlink()
    try:
        if harm == "flipped":
            clip.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        elif harm == "left over":
            clip.write_bytes(content)
            left_over.mkdir()
        verdict = finished.verify()
    finally:
        clip.unlink(missing_ok=True)
        clip.write_bytes(content)
        if left_over.exists():
            left_over.rmdir()

    assert verdict.broken() == {"I5"}


def test_a_process_that_is_left_is_found(finished: World) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()", str(finished.artifacts)], stdin=subprocess.PIPE
    ) as stray:
        verdict = finished.verify()
        stray.communicate(b"\n", timeout=10)

    (finding,) = verdict.report["findings"]
    assert f"process {stray.pid} " in finding["record"]


def test_a_pause_that_is_too_long_is_found(finished: World) -> None:
    verdict = finished.verify("--max-pause-ms", "1")

    assert verdict.broken() == {"I6"}
    assert verdict.report["longest_pause_ms"] > 1
