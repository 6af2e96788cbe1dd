"""See which processes there are, and wait for their end, for tests of what must not be left behind."""

import os
import select
import time
from collections.abc import Collection
from pathlib import Path

PATIENCE_S = 15.0


def descendants(pid: int) -> set[int]:
    """All processes below `pid`."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    below = [pid]
    while below:
        for child in children.get(below.pop(), []):
            found.add(child)
            below.append(child)
    return found


def wait_for_encoder(pid: int, apart_from: Collection[int] = ()) -> set[int]:
    """The processes below `pid`, once an ffmpeg is among them; there is no event of a process's birth.

    Those of `apart_from` were there before and belong to others: the Kafka of the run may be one.
    """
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = descendants(pid).difference(apart_from)
        if any("ffmpeg" in _program(each) for each in found):
            return found
        select.select([], [], [], 0.01)
    raise AssertionError("no ffmpeg was started")


def wait_for_end(pid: int) -> bool:
    """Whether a process, also another's child, ends in time."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], PATIENCE_S)[0])
    finally:
        os.close(watched)


def _parent(entry: Path) -> int | None:
    try:
        # The name is in parentheses and may hold anything; the parent is the second field behind it.
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""
