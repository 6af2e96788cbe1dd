"""Sandboxes of either level, for tests of what runs in them."""

from functools import cache
from pathlib import Path

import pytest

from stream_app.clip.store import KEPT_PREFIXES
from stream_app.cutting.sandbox import Sandbox, trouble_with, with_bubblewrap
from stream_app.cutting.terms import Isolation
from stream_app.settings import Settings

LEVELS: tuple[Isolation, ...] = ("bwrap+rlimits", "rlimits")


def sandbox_of(level: Isolation, artifacts: Path, *media_roots: Path) -> Sandbox:
    """A sandbox with the store `clips` under `artifacts`; without bubblewrap here, the test is skipped."""
    settings = Settings(_env_file=None, artifacts_dir=artifacts, media_roots=media_roots)
    if level == "rlimits":
        return Sandbox(settings.max_pixels)
    trouble = _trouble()
    if trouble is not None:
        pytest.skip(trouble)
    return with_bubblewrap(settings)


def best_sandbox(artifacts: Path, *media_roots: Path) -> Sandbox:
    """The one that a worker has here."""
    return sandbox_of("rlimits" if _trouble() else "bwrap+rlimits", artifacts, *media_roots)


@cache
def _trouble() -> str | None:
    return trouble_with(with_bubblewrap(Settings(_env_file=None)))


def left_behind(clips: Path) -> list[str]:
    """Names of the temporary files of a store that are of no use to other lines."""
    return [path.name for path in (clips / ".tmp").iterdir() if not path.name.startswith(KEPT_PREFIXES)]
