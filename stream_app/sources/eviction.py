"""What of a cache has to go when it is too large, and how it goes: never while somebody has it."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stream_app.sources.folder_lock import hold_folder

DRAFT = "draft-"
"""How the names of files begin that are not whole yet; in a folder that nobody has, their makers are dead."""

_BLOCK = 512
"""Bytes in a unit of `st_blocks`, whatever the file system's own blocks are."""


@dataclass(frozen=True)
class Entry:
    """A folder of the cache.

    Attributes:
        path: where it is.
        bytes: what it takes on the disk; holes in sparse files take nothing.
        used_ns: when it was last asked for.
    """

    path: Path
    bytes: int
    used_ns: int


def entries_of(folder: Path) -> list[Entry]:
    """All entries in `folder`, the least recently used first; drafts of the dead are removed on the way."""
    found: list[Entry] = []
    for child in _children(folder):
        # Another process may remove an entry, or a file of it, at any moment.
        with suppress(FileNotFoundError, NotADirectoryError):
            facts = child.stat()
            blocks = facts.st_blocks + sum(_blocks(child))
            found.append(Entry(child, blocks * _BLOCK, facts.st_mtime_ns))
    return sorted(found, key=lambda entry: entry.used_ns)


def _children(folder: Path) -> list[Path]:
    # Whoever likes may remove the whole cache, even while it is in use.
    return list(folder.iterdir()) if folder.exists() else []


def _blocks(folder: Path) -> Iterator[int]:
    with os.scandir(folder) as files:
        for file in files:
            if file.name.startswith(DRAFT) and _remove_if_idle(folder, file.name):
                continue
            yield file.stat().st_blocks


def _remove_if_idle(folder: Path, name: str) -> bool:
    handle = hold_folder(folder, alone=True)
    if handle is None:
        return False
    try:
        (folder / name).unlink(missing_ok=True)
    finally:
        os.close(handle)
    return True


def evict(entry: Path, trash: Path) -> bool:
    """Remove an entry, unless somebody has it; whether it is gone.

    It is moved to `trash` first: no half removed entry is ever seen under its name.
    """
    handle = hold_folder(entry, alone=True)
    if handle is None:
        return False
    try:
        trash.mkdir(exist_ok=True)
        moved = trash / secrets.token_hex(8)
        entry.rename(moved)
        shutil.rmtree(moved, ignore_errors=True)
    finally:
        os.close(handle)
    return True


@dataclass(frozen=True)
class Evicted:
    """What an eviction came to: the bytes that were freed, and those that are left."""

    freed: int
    left: int


def evict_down_to(limit: int, folder: Path, trash: Path, *, at_least: int = 0) -> Evicted:
    """Evict the least recently used entries of `folder` until no more than `limit` bytes are left.

    More are left when they are in use.

    Args:
        limit: bytes that may be left.
        folder: where the entries are.
        trash: a folder beside it, for entries on their way out; what a kill left in it is removed.
        at_least: bytes to free even when fewer than `limit` are there.
    """
    for leftover in _children(trash):
        shutil.rmtree(leftover, ignore_errors=True)
    entries = entries_of(folder)
    before = left = sum(entry.bytes for entry in entries)
    for entry in entries:
        if left <= limit and before - left >= at_least:
            break
        if evict(entry.path, trash):
            left -= entry.bytes
    return Evicted(before - left, left)
