"""Publish the private file as a snapshot that anyone may open at any time.

1. Roll up what was folded, and note in the file how far it goes.
2. `CHECKPOINT`, and see that it left no WAL: else the copy would lack what was committed.
3. Copy the file to a temporary name beside the snapshot, read-only.
4. Remove a stale WAL of the snapshot: one left by a user who wrote to an older one would break every reader.
5. Rename. Whoever has the old snapshot open goes on reading the old one.

Nothing is fsynced: a snapshot lives for seconds, and after a power failure the next start makes a new one
from the private file, which is durable. So most snapshots never cost a write to the disk.
"""

import errno
import math
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from projections.fold import Place, positions
from projections.store import Store
from stream_app.clock import Clock, now_ms
from stream_app.domain.errors import OwnFaultError

BUSY_SHARE = 20
"""While the log is busy, a snapshot is made after so many times what the last one cost."""

LATEST_S = 1.0
"""Even then nobody waits longer for the next one, unless making it takes more than a fourth of that."""

QUIET_SHARE = 4
"""Once it falls quiet, after so many times: somebody may be waiting for the last of it."""

_COPY_CHUNK = 2**30
_NOT_IN_KERNEL = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
"""What the kernel says when it cannot copy between these two files by itself."""


class Publisher:
    """Makes snapshots of `store` at `target`, not more often than is worth it."""

    def __init__(
        self, store: Store, target: Path, *, min_interval_s: float = 0.5, clock: Clock = now_ms
    ) -> None:
        self.target = target
        self.dirty = True  # the file may hold what was folded and never published
        self._store = store
        self._min_interval_s = min_interval_s
        self._clock = clock
        self._ended = -math.inf
        self._cost_s = 0.0

    def is_due(self, *, quiet: bool) -> bool:
        """Whether there is something new to show and it is time to; `quiet`: nothing came just now.

        A snapshot that somebody removed is something new.
        """
        pause_s = max(self._min_interval_s, QUIET_SHARE * self._cost_s)
        if not quiet:
            pause_s = max(pause_s, min(BUSY_SHARE * self._cost_s, LATEST_S))
        is_time = time.monotonic() - self._ended >= pause_s
        return is_time and (self.dirty or not self.target.exists())

    def publish(self, ends: Mapping[Place, int] | None = None) -> None:
        """Make a snapshot of all that was folded; `ends` are the partitions' ends as far as they are known.

        Raises:
            duckdb.Error, OSError, OwnFaultError: the snapshot that stood there before still stands.
        """
        started = time.monotonic()
        self._store.roll_up()
        _note_positions(self._store, ends or {}, self._clock())
        _checkpoint(self._store)
        _replace(self._store.path, self.target)
        self.dirty = False
        self._ended = time.monotonic()
        self._cost_s = self._ended - started


def _note_positions(store: Store, ends: Mapping[Place, int], at_ms: int) -> None:
    """Write `snapshot_info`. A partition with no record yet has its row too."""
    known = positions(store.con)
    store.con.begin()
    store.con.execute("DELETE FROM snapshot_info")
    for place in sorted(known.keys() | ends.keys()):
        position = known.get(place, 0)
        end = max(ends.get(place, 0), position)
        store.con.execute(
            "INSERT INTO snapshot_info VALUES (?, ?, ?, ?, ?, epoch_ms(?))",
            [*place, position, end, end - position, at_ms],
        )
    store.con.commit()


def _checkpoint(store: Store) -> None:
    store.con.execute("CHECKPOINT")
    if store.wal.exists() and store.wal.stat().st_size:
        raise OwnFaultError(f"{store.wal} is still there after a checkpoint: {store.path} is not complete")


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    _copy(source, temporary)
    target.with_name(f"{target.name}.wal").unlink(missing_ok=True)
    temporary.replace(target)


def _copy(source: Path, target: Path) -> None:
    """Copy inside the kernel, which shares blocks where the file system can."""
    with source.open("rb") as read, open(target, "xb", opener=_read_only) as written:
        left = os.fstat(read.fileno()).st_size
        try:
            while left > 0:
                copied = os.copy_file_range(read.fileno(), written.fileno(), min(left, _COPY_CHUNK))
                if not copied:
                    raise OwnFaultError(f"{source} shrank while it was copied")
                left -= copied
        except OSError as error:
            if error.errno not in _NOT_IN_KERNEL:
                raise
            shutil.copyfileobj(read, written)


def _read_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o444)
