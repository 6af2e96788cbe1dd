"""Ask the snapshot from within the process: many small questions, one after the other, of newest data."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from stream_app.domain.errors import OwnFaultError

TIMEOUT_S = 5.0
"""A question takes milliseconds; one that takes so long is ended, because others wait behind it."""

MEMORY = "256MiB"
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 2,
    "memory_limit": MEMORY,
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

Row = Mapping[str, Any]


class SnapshotError(OwnFaultError):
    """The snapshot is not there yet, or cannot be read now."""

    stage = "snapshot"


class SnapshotReader:
    """Reads the published file at `path`.

    One connection in one thread: DuckDB gives a process that opens a path twice the same file both times,
    the old one when it was replaced meanwhile. So the old one is closed before the new one is opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "snapshot")
        self._con: DuckDBPyConnection | None = None
        self._file: tuple[int, int] | None = None

    def is_published(self) -> bool:
        """Whether there is a snapshot; without one, nothing was ever folded here."""
        return self._path.exists()

    async def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a query of ours; names in `parameters` stand as `$name` in it.

        Raises:
            SnapshotError: there is no snapshot yet, it cannot be read, or it took longer than `TIMEOUT_S`.
        """
        asked = self._in_thread(lambda: self._rows(sql, parameters or {}))
        # Whoever stops waiting does not want to know how it ended.
        asked.add_done_callback(lambda future: future.cancelled() or future.exception())
        done, _ = await asyncio.wait({asked}, timeout=TIMEOUT_S)
        if not done:
            if self._con is not None:
                self._con.interrupt()
            raise SnapshotError(f"{self._path} did not answer within {TIMEOUT_S:g} s")
        rows: list[Row] = asked.result()
        return rows

    async def aclose(self) -> None:
        """Close the file and end the thread."""
        await self._in_thread(self._close)
        self._thread.shutdown(wait=False)

    def _in_thread(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        try:
            result = self._newest().execute(sql, dict(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, values, strict=True)) for values in result.fetchall()]
        except (duckdb.Error, OSError) as error:
            self._close()
            raise SnapshotError(f"{self._path} cannot be read: {error}") from error

    def _newest(self) -> DuckDBPyConnection:
        status = self._path.stat()
        file = (status.st_ino, status.st_mtime_ns)
        if self._con is None or file != self._file:
            self._close()
            self._con = duckdb.connect(self._path, read_only=True, config=_CONFIG)
            self._file = file
        return self._con

    def _close(self) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None
