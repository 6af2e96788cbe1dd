"""The private DuckDB file: owned by one process, opened safely, and folded anew when it cannot be read."""

import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import duckdb
from duckdb import DuckDBPyConnection

from projections.fold import Place, fold, positions
from projections.roll_up import roll_up
from projections.schema import SCHEMA_VERSION, create_schema, schema_version
from stream_app.domain.errors import OwnFaultError, UsageError
from stream_app.kafka.record import Record
from stream_app.telemetry.log import get_logger

_DAMAGED = re.compile(
    r"checksum|corrupt|not a valid DuckDB|replaying WAL|serializ|read enough bytes|INTERNAL Error",
    re.IGNORECASE,
)

MEMORY = "640MiB"
"""DuckDB's, which would otherwise keep of the file whatever fits into four fifths of the machine's memory."""

ROW_GROUP = 122_880
"""Rows that DuckDB keeps together."""

ROLL_UP_AFTER = ROW_GROUP // 2
"""Records folded without a roll-up at most; full batches should add up to it. Where two roll-ups do not fill
a row group, checkpoints merge row groups, and write hundreds of thousands of rows again to do so."""

log = get_logger()


class Store:
    """The private file at `path`, used by one thread at a time.

    One thread of DuckDB's own is best for the many small statements of a roll-up, and leaves the processor
    to the cutting; a rebuild gains from more.

    Raises:
        UsageError: another process owns the file.
        OwnFaultError: it cannot be opened, for a reason that may pass (disk full, rights).
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self.path = path
        self._folded = 0
        self._config: dict[str, str | bool | int | float | list[str]] = {
            # The oldest format that packs JSON well: every DuckDB that users may have (>= 1.4) opens it.
            "storage_compatibility_version": "v1.3.0",
            # Each publication makes a checkpoint; others in between would write what is deleted again soon.
            "wal_autocheckpoint": "256MiB",
            "threads": threads,
            "memory_limit": MEMORY,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock: int | None = _take_lock(self._lock_path)
        try:
            self.con = self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def wal(self) -> Path:
        """DuckDB's write-ahead log of the file."""
        return self.path.with_name(f"{self.path.name}.wal")

    def fold(self, records: Sequence[Record]) -> int:
        """See `projections.fold.fold`; every so often it rolls up as well, so that a long fold stays flat."""
        new = fold(self.con, records)
        self._folded += new
        if self._folded >= ROLL_UP_AFTER:
            self.roll_up()
        return new

    def roll_up(self) -> int:
        """See `projections.roll_up.roll_up`."""
        self._folded = 0
        return roll_up(self.con)

    def positions(self) -> dict[Place, int]:
        """For each partition, the offset of the next record to fold."""
        return positions(self.con)

    def reopen(self) -> None:
        """After any exception: whatever the failed call did or did not write, the file itself tells.

        When its folder was removed, it is made anew, and so is the file.
        """
        self._close_connection()
        self._restore_lock()
        self.con = self._open()

    def start_over(self, why: str) -> None:
        """Put the file aside and begin an empty one, to be folded from the beginning of the log."""
        self._close_connection()
        self._put_aside(self.path, why)
        self._put_aside(self.wal, why)
        self.con = self._open()

    def replace_with(self, file: Path) -> None:
        """Go on with another file, which nobody has open, as if it had always been this one."""
        self._close_connection()
        # Of the old file: without it that one stands at its last checkpoint, with positions that fit.
        self.wal.unlink(missing_ok=True)
        file.replace(self.path)
        self.con = self._open()

    def close(self) -> None:
        """Close the file and let another process have it; closing it again does nothing."""
        if self._lock is not None:
            self._close_connection()
            os.close(self._lock)
            self._lock = None

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    def _restore_lock(self) -> None:
        """Hold a lock that others can see: whoever removed the folder took ours along."""
        if self._lock is None or self._lock_path.exists():
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            held = _take_lock(self._lock_path)
        except OSError as error:
            raise OwnFaultError(f"cannot make {self.path.parent}: {error}") from error
        os.close(self._lock)
        self._lock = held

    def _close_connection(self) -> None:
        try:
            self.con.close()
        except duckdb.Error as error:
            log.warning("projection.close_failed", error=str(error))

    def _open(self) -> DuckDBPyConnection:
        """Open what is there; put aside first the WAL and then the file when they are damaged."""
        for damaged in (self.wal, self.path):
            try:
                return self._connect()
            except duckdb.Error as error:
                if not is_damage(error):
                    raise OwnFaultError(f"cannot open {self.path}: {error}") from error
                self._put_aside(damaged, str(error))
        self._put_aside(self.wal, "its file was put aside")
        return self._connect()

    def _connect(self) -> DuckDBPyConnection:
        con = self._connection()
        try:
            found = schema_version(con)
        except BaseException:
            con.close()
            raise
        if found == SCHEMA_VERSION:
            return con
        if found is not None or _has_tables(con):
            con.close()
            self._put_aside(self.path, f"its tables are of version {found}, not {SCHEMA_VERSION}")
            self._put_aside(self.wal, "its file was put aside")
            con = self._connection()
        create_schema(con)
        return con

    def _connection(self) -> DuckDBPyConnection:
        con = duckdb.connect(self.path, config=self._config)
        # Statements of some seconds would draw one on stdout, among log lines or the JSON of a command.
        con.execute("SET enable_progress_bar = false")
        return con

    def _put_aside(self, file: Path, why: str) -> None:
        """Keep a file that cannot be used under another name: it may tell what happened."""
        if not file.exists():
            return
        aside = file.with_name(f"{file.name}.aside")
        file.replace(aside)
        log.warning("projection.put_aside", file=str(file), kept_as=str(aside), error=why)


def is_damage(error: duckdb.Error) -> bool:
    """Whether the error says that the file or its WAL is damaged, rather than out of reach."""
    return _DAMAGED.search(str(error)) is not None


def _has_tables(con: DuckDBPyConnection) -> bool:
    return con.execute("SELECT 1 FROM duckdb_tables()").fetchone() is not None


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(
            f"another process folds into this file already ({path}): stop it, "
            "or name another RENDER_ARTIFACTS_DIR"
        ) from error
    return descriptor
