"""A private file, and what its public tables say after a history."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "private.duckdb") as opened:
        yield opened
