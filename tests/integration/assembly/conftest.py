"""Songs of every kind, made once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.assembly.numbered_media import write_clicks


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A song of 2 s with clicks at 500, 1,000 and 1,750 ms, of the kind asked for."""
    folder = tmp_path_factory.mktemp("songs")

    def make(kind: str) -> Path:
        path = folder / f"song.{kind}"
        return path if path.exists() else write_clicks(path, (500, 1000, 1750), 2000)

    return make
