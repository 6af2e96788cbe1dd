"""A file of the cache of which some bytes are there; the rest are holes, which take no place on the disk."""

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

from stream_app.domain.errors import SourceError
from stream_app.sources.cache import CacheEntry
from stream_app.sources.source_file import ByteSpan
from stream_app.sources.spans import union

BATCH_BYTES = 1 << 20
"""Written at once: a hop to another thread costs 0.1 ms."""

NOTE_BYTES = 16 << 20
"""Noted at once: so much at most is fetched again after a kill."""

_SPANS = "spans.json"


class PartialFile:
    """The main file of a cache entry, filled by pieces; only its holder alone may write.

    What is there is noted after it was written, so that a kill leaves at most bytes that nobody believes.
    An entry without notes is there as a whole.
    """

    def __init__(self, entry: CacheEntry) -> None:
        self.path = entry.data
        self._entry = entry
        self._notes = entry.path / _SPANS

    @property
    def exists(self) -> bool:
        """Whether anything is known of the file, be it that all of it is missing."""
        return self.path.exists()

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.path.stat().st_size

    @property
    def present(self) -> tuple[ByteSpan, ...]:
        """The bytes that are there, sorted."""
        try:
            return tuple((start, stop) for start, stop in json.loads(self._notes.read_bytes()))
        except FileNotFoundError:
            return union([(0, self.size)])

    async def create(self, size: int) -> None:
        """Make it, all of it missing, if it is not there yet."""
        if self.exists:
            return
        await self._entry.cache.at_once(partial(self._make, size))

    async def write(self, at: int, chunks: AsyncIterator[bytes]) -> None:
        """Write `chunks` from byte `at` on; when they break off, what came before stays.

        Raises:
            SourceError: of `chunks`.
            OwnFaultError: the disk is full, or not ours.
        """
        noted, cache = at, self._entry.cache
        try:
            async with aclosing(batches(chunks)) as pieces:
                async for piece in pieces:
                    await cache.on_disk(partial(write_at, self.path, at, piece))
                    at += len(piece)
                    await cache.grew(len(piece))
                    if at - noted >= NOTE_BYTES:
                        await self._add((noted, at))
                        noted = at
        finally:
            await self._add((noted, at))

    async def read(self, span: ByteSpan) -> bytes:
        """The bytes of `span`, which have to be there."""
        return await self._entry.cache.on_disk(partial(_read_at, self.path, span))

    async def _add(self, span: ByteSpan) -> None:
        # Pieces are fetched side by side: none may come between the reading and the writing of the notes.
        await self._entry.cache.at_once(lambda: self._note(union([*self.present, span])))

    def _make(self, size: int) -> None:
        self._note(())
        draft = self._entry.draft()
        with draft.open("xb") as file:
            file.truncate(size)
        draft.rename(self.path)

    def _note(self, present: tuple[ByteSpan, ...]) -> None:
        draft = self._entry.draft()
        draft.write_text(json.dumps(present))
        draft.replace(self._notes)


async def batches(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of `BATCH_BYTES` and more; what came before a failure comes before it here."""
    batch = bytearray()
    try:
        async for chunk in chunks:
            batch += chunk
            if len(batch) >= BATCH_BYTES:
                yield bytes(batch)
                batch.clear()
    except SourceError:
        if batch:
            yield bytes(batch)
        raise
    if batch:
        yield bytes(batch)


def write_at(path: Path, at: int, data: bytes) -> None:
    """Write `data` over what is at byte `at` of `path`; a second time does no harm."""
    with path.open("r+b", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(file.fileno(), rest, at)
            rest, at = rest[written:], at + written


def _read_at(path: Path, span: ByteSpan) -> bytes:
    start, stop = span
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)
