"""Make files out of sight and show them whole: a private folder while in work, then an atomic rename."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

JOINING_PREFIX = ".joining-"
"""Begins the names of private folders."""


@contextmanager
def work_folder(out_dir: Path) -> Iterator[Path]:
    """A new private folder inside `out_dir`, removed at the end.

    Those of killed earlier runs are removed first. Runs at the same time do not disturb one another:
    whoever is alive holds a lock on its own folder.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with _locked(out_dir):
        _remove_abandoned(out_dir)
        folder = Path(tempfile.mkdtemp(prefix=JOINING_PREFIX, dir=out_dir))
        owned = _lock(folder, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owned)


def publish(made: Path, final: Path) -> None:
    """Show `made` as `final`, which may exist: on the disk before it has its name, and its name after it."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(final)
    folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_abandoned(folder: Path) -> bool:
    """Whether the run that made a private folder is dead: the lock of a living one is not free."""
    try:
        os.close(_lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _remove_abandoned(out_dir: Path) -> None:
    for folder in out_dir.glob(f"{JOINING_PREFIX}*"):
        with suppress(OSError):
            # The lock of a dead process is free; a living one's is not, and that folder stays.
            lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, how: int) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
