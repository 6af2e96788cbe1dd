"""Files that are whole or not there: made under a temporary name, checked, then renamed."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

STALE_SECONDS = 3600
"""What a killed run left behind is nobody's after an hour: the longest run takes some minutes."""


def make_file(path: Path, make: Callable[[Path], None], check: Callable[[Path], None]) -> None:
    """Makes a file that is never seen half-written.

    Two runs at once each write their own temporary file; the last to finish wins, with the same content.

    Args:
        path: the final name; its folder is made if need be.
        make: writes the file it is given.
        check: raises if that file is not what it should be.

    Raises:
        Exception: whatever `make` or `check` raises; then nothing is left behind and `path` is as before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path.parent)
    part = path.with_name(f".part-{uuid4().hex}-{path.name}")
    try:
        make(part)
        check(part)
        _flush(part)
        part.replace(path)
        _flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Removes the temporary files of runs that were killed."""
    for part in folder.glob(".part-*"):
        try:
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()
        except FileNotFoundError:
            continue  # its run has just renamed it


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
