"""The cache of fetched sources on disk: bounded, shared by the workers of a machine, lost without harm.

    sources/boot-<id>/entries/<digest of a name>/   one entry: its files, and `lock` for those who fill it
    sources/boot-<id>/trash/                        entries on their way out

Whoever uses an entry has a shared lock on its folder, and only what can be locked alone is evicted. Locks are
the kernel's (flock): those of a killed process are gone with it. What is not whole yet has another name than
what is, so that a kill leaves nothing half made to be believed. Nothing is forced to disk: a power cut may
leave holes and zeros, so what an earlier boot of the machine has written is removed unread.
"""

import asyncio
import errno
import hashlib
import os
import secrets
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from stream_app.domain.errors import OwnFaultError
from stream_app.sources.boot_folder import folder_of_this_boot
from stream_app.sources.eviction import DRAFT, Evicted, evict, evict_down_to
from stream_app.sources.folder_lock import POLL_S, alone_with, hold_made
from stream_app.sources.turn import Turn
from stream_app.telemetry import metrics

T = TypeVar("T")

WAIT_S = 900.0
"""An entry is filled for as long by another process at most: longer than one answer may take by default
(`fetch_timeout_ms`, 600 s), so that only a process that was stopped is given up."""

ROOM_BYTES = 256 * 2**20
"""What is freed at once on a full disk: room for some clips and videos, too, that share the disk."""

_SCAN_SHARE = 32
"""The disk is looked at anew after the limit's 32nd part was written: each worker may exceed it by 3 %."""

LOCK, _DATA = "lock", "data"


class SourceCache:
    """Fetched sources by name, the least recently used of which go first.

    Args:
        root: the folder `sources`; made when it is not there.
        max_bytes: what may be kept; entries in use are kept beyond it.
        wait_s: how long to wait for another process that fills the same entry.

    Raises:
        OwnFaultError: from every method, when our disk is full or not ours to write.
    """

    def __init__(self, root: Path, max_bytes: int, *, wait_s: float = WAIT_S) -> None:
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._turns: weakref.WeakValueDictionary[Path, Turn] = weakref.WeakValueDictionary()
        self._trimming = asyncio.Lock()
        self._bytes = 0
        self._scan_at = 0
        try:
            folder, handle = folder_of_this_boot(root)
            weakref.finalize(self, os.close, handle)
            self._entries, self._trash = folder / "entries", folder / "trash"
            self._entries.mkdir(exist_ok=True)
        except OSError as error:
            raise OwnFaultError.of_disk(f"keep {root}", error) from error

    @asynccontextmanager
    async def kept(self, name: str, make: Callable[[Path], Awaitable[None]]) -> AsyncIterator[Path]:
        """The file `name`, made by `make(draft)` when it is not there, safe from eviction in the context.

        However many ask for it at once, in whatever processes, one makes it; when that fails, those of
        this process who were waiting get the same error. What is made is never changed.
        """
        async with self.entry(name) as entry:
            await entry.fill(make)
            yield entry.data

    @asynccontextmanager
    async def entry(self, name: str) -> AsyncIterator["CacheEntry"]:
        """The entry `name`, empty when it is new, safe from eviction in the context."""
        path = self._entries / hashlib.sha256(name.encode()).hexdigest()[:40]
        handle = await self._hold(path)
        try:
            yield CacheEntry(path, self, self._turns.setdefault(path, Turn()), self._wait_s)
        finally:
            _touch(path)
            os.close(handle)
            if _is_bare(path):
                evict(path, self._trash)
            if self._bytes > self._max_bytes:
                await self.trim()

    async def on_disk(self, work: Callable[[], T]) -> T:
        """Run `work`, which reads or writes here, in a thread; again when room could be made on a full disk.

        A cancelled caller still waits for its end: it must not write into what is then another's.
        """
        return await self._with_room(lambda: _to_its_end(work))

    async def at_once(self, work: Callable[[], T]) -> T:
        """The same for `work` that is short, or must not be mixed with other such: it runs right here."""

        async def run() -> T:
            return work()

        return await self._with_room(run)

    async def make_room(self) -> bool:
        """Evict what nobody uses, up to `ROOM_BYTES`, for others on a full disk; whether anything went."""
        return await self.trim(ROOM_BYTES) > 0

    @asynccontextmanager
    async def own_disk(self) -> AsyncIterator[None]:
        """What fails here fails for our own disk; when it is full, room is made for the next try."""
        try:
            yield
        except OSError as error:
            if error.errno is None:
                # Not the disk's: a TimeoutError of asyncio, for one.
                raise
            if _is_full(error):
                await self.make_room()
            raise OwnFaultError.of_disk(f"keep {self._entries}", error) from error

    async def grew(self, count: int) -> None:
        """So many bytes have been written into an entry; others may have to go for them."""
        self._bytes += count
        metrics.SOURCE_CACHE_BYTES.set(self._bytes)
        if self._bytes > self._scan_at and not self._trimming.locked():
            await self.trim()

    async def _hold(self, path: Path) -> int:
        while True:
            handle = await self.at_once(partial(hold_made, path))
            if handle is not None:
                return handle
            # Somebody evicts it: a matter of a rename.
            await asyncio.sleep(POLL_S)

    async def trim(self, at_least: int = 0) -> int:
        """Evict what is too much, but no fewer bytes than `at_least`; returns how many went."""

        def work() -> Evicted:
            return evict_down_to(self._max_bytes, self._entries, self._trash, at_least=at_least)

        async with self._trimming:
            try:
                evicted = await _to_its_end(work)
            except OSError as error:
                raise OwnFaultError.of_disk(f"keep {self._entries}", error) from error
        self._bytes, step = evicted.left, self._max_bytes // _SCAN_SHARE
        is_over = evicted.left >= self._max_bytes
        self._scan_at = evicted.left + step if is_over else min(evicted.left + step, self._max_bytes)
        metrics.SOURCE_CACHE_BYTES.set(self._bytes)
        return evicted.freed

    async def _with_room(self, work: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await work()
            except OSError as error:
                if not (_is_full(error) and await self.make_room()):
                    raise OwnFaultError.of_disk(f"keep {self._entries}", error) from error


class CacheEntry:
    """A folder of the cache that the holder of the context may read and, alone with it, write.

    Attributes:
        path: the folder.
        data: its main file, which stands for the entry; other files of it are named `*.json`.
    """

    def __init__(self, path: Path, cache: SourceCache, turn: Turn, wait_s: float) -> None:
        self.path = path
        self.data = path / _DATA
        self.cache = cache
        self._turn = turn
        self._wait_s = wait_s

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be the only one, in all processes, to change the entry.

        Raises:
            SourceError: of the one before, of this process, who failed while this one was waiting.
            OwnFaultError: another process did not end with it in time.
        """
        lock = self.path / LOCK
        async with self._turn.taken(), self.cache.own_disk(), alone_with(lock, wait_s=self._wait_s):
            yield

    async def fill(self, make: Callable[[Path], Awaitable[None]]) -> bool:
        """Have `data` made by `make(draft)`, when it is not there; whether it was made."""
        if self.data.exists():
            return False
        async with self.alone():
            if self.data.exists():
                return False
            draft = self.draft()
            try:
                await make(draft)
                size = draft.stat().st_size
                draft.rename(self.data)
            finally:
                draft.unlink(missing_ok=True)
        await self.cache.grew(size)
        return True

    def draft(self) -> Path:
        """A fresh name for a file that is not whole yet."""
        return self.path / f"{DRAFT}{secrets.token_hex(8)}"


def _touch(path: Path) -> None:
    # The kernel's own idea of now may be some ms old, in which several entries are used.
    now = time.time_ns()
    with suppress(FileNotFoundError):
        os.utime(path, ns=(now, now))


def _is_bare(entry: Path) -> bool:
    """Whether nothing has come of an entry."""
    try:
        return {file.name for file in entry.iterdir()} <= {LOCK}
    except FileNotFoundError:
        return False


async def _to_its_end(work: Callable[[], T]) -> T:
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(OSError):
            await running
        raise


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
