"""Open what is behind an address: asked for once by however many, and checked for changes."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path

from stream_app.clock import Clock, now_ms
from stream_app.domain.errors import SourceError
from stream_app.sources.cache import CacheEntry, SourceCache
from stream_app.sources.http import Answer, HttpClient
from stream_app.sources.known import Known, identity_by_content, identity_by_validator
from stream_app.sources.partial_file import PartialFile, batches, write_at
from stream_app.sources.remote import Place, RemoteFile, cut_out, is_broken_off, save
from stream_app.sources.source_file import ByteSpan
from stream_app.sources.spans import bounded, missing
from stream_app.sources.validator import Validator
from stream_app.telemetry import metrics


@asynccontextmanager
async def open_remote(
    client: HttpClient,
    cache: SourceCache,
    place: Place,
    *,
    fresh_ms: int,
    first: ByteSpan | None = None,
    max_bytes: int | None = None,
    clock: Clock = now_ms,
) -> AsyncIterator[RemoteFile]:
    """Open what is behind `place`; of those who do so at once, in all processes, one asks the server.

    Args:
        client: to ask with.
        cache: where the content is kept.
        place: what to open.
        fresh_ms: the server is not asked again for so long.
        first: the bytes to have at least, for a place without a window; None: all of them. A server that
            ignores ranges gives all in any case.
        max_bytes: of one answer; `max_source_bytes` holds for the whole content anyway.
        clock: the time in ms.

    Raises:
        SourceError: the source cannot be had.
        OwnFaultError: the disk is full, or another process is stuck.
    """
    async with AsyncExitStack() as held:
        memory = await held.enter_async_context(cache.entry(place.name))
        opening = _Opening(client, cache, place, memory, held, place.window or first, max_bytes)
        async with memory.alone():
            known, content = await opening.recall()
            if known is not None and content is not None and known.is_fresh(clock(), fresh_ms):
                metrics.SOURCE_CACHE.labels("hit").inc()
            else:
                asked_at_ms = clock()
                known, content = await opening.ask(known, content)
                known = replace(known, checked_at_ms=asked_at_ms)
                await save(known, memory)
        yield RemoteFile(client, place, known, memory=memory, content=content)


@dataclass(frozen=True)
class _Opening:
    """One opening of a place, alone with what is remembered of it."""

    client: HttpClient
    cache: SourceCache
    place: Place
    memory: CacheEntry
    held: AsyncExitStack
    span: ByteSpan | None
    max_bytes: int | None

    async def recall(self) -> tuple[Known | None, CacheEntry | None]:
        """What is remembered of the place, if its content is still here."""
        known = Known.load(self.memory.path)
        if known is None:
            return None, None
        content = await self._content(known.identity)
        return (known, content) if PartialFile(content).exists else (None, None)

    async def ask(self, known: Known | None, content: CacheEntry | None) -> tuple[Known, CacheEntry]:
        """Ask the server for what is there, unless it still is what is remembered."""
        unless = known.validator if known else None
        async with self._get(self.span, unless=unless) as answer:
            if answer.status == HTTPStatus.NOT_MODIFIED and known is not None and content is not None:
                metrics.SOURCE_CACHE.labels("revalidated").inc()
                return known, content
            size = self._size(answer)
            if answer.validator.is_strong and size is not None:
                return await self._take_named(answer, size)
            if answer.span in (None, self.place.window, (0, answer.validator.size)):
                return await self._take_unnamed(answer)
        # Its parts could not be told from those of other content.
        async with self._get(None) as answer:
            return await self._take_unnamed(answer)

    def _get(
        self, span: ByteSpan | None, unless: Validator | None = None
    ) -> AbstractAsyncContextManager[Answer]:
        return self.client.get(self.place.address, span=span, unless=unless, max_bytes=self.max_bytes)

    def _size(self, answer: Answer) -> int | None:
        """Bytes of the file that the place stands for."""
        if self.place.window is None:
            return answer.validator.size
        if answer.span is not None:
            return answer.span[1] - answer.span[0]
        whole = answer.validator.size
        return None if whole is None else sum(b - a for a, b in bounded([self.place.window], whole))

    async def _content(self, identity: str) -> CacheEntry:
        return await self.held.enter_async_context(self.cache.entry(f"content {identity}"))

    async def _take_named(self, answer: Answer, size: int) -> tuple[Known, CacheEntry]:
        """Take over what an answer carries of content that its server can name."""
        identity = identity_by_validator(self.place.address, answer.validator, self.place.window)
        known = Known(answer.validator, answer.url, identity, checked_at_ms=0)
        content = await self._content(identity)
        file = PartialFile(content)
        carried = (0, size) if self.place.window or answer.span is None else answer.span
        async with content.alone():
            await file.create(size)
            # Whatever happens now, the next one asks for what is missing only.
            await save(known, self.memory)
            if is_new := bool(missing([carried], file.present)):
                try:
                    await file.write(carried[0], cut_out(answer, self.place.window or answer.span))
                except SourceError as error:
                    # The rest is asked for, once, by whoever needs it.
                    if not is_broken_off(error) or not file.present:
                        raise
        metrics.SOURCE_CACHE.labels("miss" if is_new else "revalidated").inc()
        return known, content

    async def _take_unnamed(self, answer: Answer) -> tuple[Known, CacheEntry]:
        """Take over a whole body that its server cannot name: it is named by its bytes."""
        draft = self.memory.draft()
        try:
            digest = await self._write_draft(draft, cut_out(answer, self.place.window))
            identity = identity_by_content(digest)
            content = await self._content(identity)

            async def adopt(made: Path) -> None:
                draft.rename(made)

            is_new = await content.fill(adopt)
        finally:
            draft.unlink(missing_ok=True)
        metrics.SOURCE_CACHE.labels("miss" if is_new else "revalidated").inc()
        return Known(answer.validator, answer.url, identity, checked_at_ms=0), content

    async def _write_draft(self, draft: Path, chunks: AsyncIterator[bytes]) -> str:
        digest, at = hashlib.sha256(), 0
        await self.cache.on_disk(draft.touch)
        async with aclosing(batches(chunks)) as pieces:
            async for piece in pieces:
                await self.cache.on_disk(partial(write_at, draft, at, piece))
                digest.update(piece)
                at += len(piece)
        return digest.hexdigest()
