"""The most telling faults, a few times each; `scripts/chaos` has them all, more often."""

from pathlib import Path

import pytest
from scenarios import SCENARIOS, run


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("kill-worker", 2),
        ("kill-serve", 1),
        ("die-in-join", 1),
        ("die-after-produce", 1),
        ("lose-all-brokers", 1),
        ("replayed-input", 1),
    ],
)
def test_nothing_is_lost_invented_or_wrong(tmp_path: Path, name: str, times: int) -> None:
    verdict = run(SCENARIOS[name], tmp_path / "world", times=times)

    assert verdict.is_green, verdict.table
