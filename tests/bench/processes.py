"""What a process and all that it started cost: CPU seconds and memory, read from `/proc`."""

import os
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_EVERY_S = 0.05
MB = 1 << 20


def tree(pid: int) -> list[int]:
    """The process and everything below it that is there now."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children[int(_stat(int(entry.name))[1])].append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children[each])
    return found


def cpu_s(pid: int, without: str | None = None) -> float:
    """User and system seconds of a process, of what it has waited for, and of what lives below it.

    Those whose command line has `without` in it are left out.
    """
    ticks = 0
    for each in tree(pid):
        with suppress(OSError):
            if without is None or without.encode() not in Path(f"/proc/{each}/cmdline").read_bytes():
                ticks += sum(map(int, _stat(each)[11:15]))
    return ticks / TICKS


def _stat(pid: int) -> list[str]:
    # The name in brackets may hold spaces: what follows it counts from the state on.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def zombies(pid: int) -> set[int]:
    """Processes of the tree that have ended and that nobody has asked how."""
    found = set()
    for each in tree(pid):
        with suppress(OSError):
            if _stat(each)[0] == "Z":
                found.add(each)
    return found


def open_files(pid: int) -> int:
    """How many file descriptors a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def rss_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pss_bytes(pid: int) -> dict[int, int]:
    """Proportional set size of each process of the tree: what is shared counts once in their sum."""
    sizes = {}
    for each in tree(pid):
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            sizes[each] = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return sizes


class PeakMemory:
    """Samples the memory of a tree while entered; `total` and `largest_child` are its peaks in bytes."""

    def __init__(self, pid: int) -> None:
        self.total = 0
        self.largest_child = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            sizes = pss_bytes(self._pid)
            self.total = max(self.total, sum(sizes.values()))
            below = [size for pid, size in sizes.items() if pid != self._pid]
            self.largest_child = max(self.largest_child, *below, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
