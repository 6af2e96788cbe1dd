"""The content behind an address, of which more is fetched as more is needed."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace

from stream_app.domain.errors import SourceError
from stream_app.sources.cache import CacheEntry
from stream_app.sources.fetch_error import FetchError
from stream_app.sources.http import Answer, HttpClient
from stream_app.sources.known import Known
from stream_app.sources.partial_file import PartialFile
from stream_app.sources.source_file import ByteSpan
from stream_app.sources.spans import bounded, missing, union
from stream_app.sources.together import all_of

GAP_BYTES = 1 << 18
"""Holes up to this are fetched along: about what a connection brings in the time that a request takes."""

MAX_REQUESTS = 3
"""Pieces of one file that are asked for at once; more is rude to one host, and gains little."""


@dataclass(frozen=True)
class Place:
    """What to ask for.

    Attributes:
        address: the address, http or https.
        window: the bytes of it that are wanted as a file of their own; None for all.
    """

    address: str
    window: ByteSpan | None = None

    @property
    def name(self) -> str:
        """Names the place in the cache."""
        return f"address {self.window} {self.address}"


class RemoteFile:
    """The content behind a place, as far as it is here; safe from eviction while it is open.

    Attributes:
        path: the local file; not all of it has to be there.
        size: bytes of the whole file.
        known: what is known of it.
    """

    def __init__(
        self, client: HttpClient, place: Place, known: Known, *, memory: CacheEntry, content: CacheEntry
    ) -> None:
        self._client = client
        self._place = place
        self._memory = memory
        self._content = content
        self._file = PartialFile(content)
        self.known = known
        self.path = self._file.path
        self.size = self._file.size

    @property
    def present(self) -> tuple[ByteSpan, ...] | None:
        """The bytes that are there; None when all are."""
        present = self._file.present
        return None if present == union([(0, self.size)]) else present

    def has(self, span: ByteSpan) -> bool:
        """Whether `span` is there, up to the end of the file."""
        return not missing(bounded([span], self.size), self._file.present)

    async def read(self, span: ByteSpan) -> bytes:
        """The bytes of `span`, fetched when they are not there.

        Raises:
            SourceError, OwnFaultError: as `ensure` does.
        """
        await self.ensure([span])
        return await self._file.read(span)

    async def ensure_all(self) -> None:
        """Fetch what is not there of the whole file; raises what `ensure` raises."""
        await self.ensure([(0, self.size)])

    async def ensure(self, spans: Iterable[ByteSpan]) -> None:
        """Fetch what is not there of `spans`; what lies past the end of the file does not count.

        Raises:
            SourceError: the server fails, or has other content by now (`cdn_error`, retryable: the next
                time this place is opened, its server is asked what is there).
            OwnFaultError: the disk is full.
        """
        wanted = bounded(spans, self.size)
        if not missing(wanted, self._file.present):
            return
        try:
            async with self._content.alone():
                await self._fetch_all(missing(union(wanted, gap=GAP_BYTES), self._file.present))
        except SourceError:
            await save(replace(self.known, checked_at_ms=0), self._memory)
            raise

    async def _fetch_all(self, gaps: Iterable[ByteSpan]) -> None:
        few = asyncio.Semaphore(MAX_REQUESTS)

        async def fetch(gap: ByteSpan) -> None:
            async with few:
                await self._fetch(gap)

        await all_of(fetch(gap) for gap in gaps)

    async def _fetch(self, gap: ByteSpan) -> None:
        """Fetch one piece; when it breaks off, the rest of it once more."""
        try:
            await self._ask_for(gap)
        except SourceError as error:
            rest = missing([gap], self._file.present)
            if not is_broken_off(error) or rest == (gap,):
                raise
            for piece in rest:
                await self._ask_for(piece)

    async def _ask_for(self, gap: ByteSpan) -> None:
        shift = self._place.window[0] if self._place.window else 0
        asked = (gap[0] + shift, gap[1] + shift)
        same_as = self.known.validator
        async with self._client.get(self._place.address, span=asked, same_as=same_as) as answer:
            await self._file.write(gap[0], cut_out(answer, asked))


async def save(known: Known, memory: CacheEntry) -> None:
    """Note what is known of a place."""
    await memory.cache.at_once(lambda: known.save(memory.path, memory.draft()))


async def cut_out(answer: Answer, wanted: ByteSpan | None) -> AsyncIterator[bytes]:
    """The bytes `wanted` of what an answer carries: a server that ignores ranges carries more."""
    at = answer.span[0] if answer.span else 0
    async for chunk in answer.chunks():
        if wanted is None:
            yield chunk
            continue
        if piece := chunk[max(0, wanted[0] - at) : max(0, wanted[1] - at)]:
            yield piece
        at += len(chunk)
        if at >= wanted[1] and answer.span is None:
            return


def is_broken_off(error: SourceError) -> bool:
    """Whether the server may give the rest when it is asked at once."""
    return isinstance(error, FetchError) and error.is_blip
