"""Files of a stream: fetched into the cache, and what is made of them there."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.cache import SourceCache
from stream_app.sources.hls.decrypt import decrypted
from stream_app.sources.hls.playlist import KEY_BYTES, Resource
from stream_app.sources.http import HttpClient
from stream_app.sources.shown import shown
from stream_app.sources.source_file import Prober
from stream_app.sources.whole import fetch_whole
from topics.reasons import FallbackReason

SETTLED_MS = 600_000
"""What was fetched for a piece is not asked for again until the piece is made."""

CHUNK_BYTES = 1 << 20

Content = Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Plain:
    """A file without encryption; `identity` names its content."""

    path: Path
    identity: str


@dataclass(frozen=True)
class StreamFiles:
    """What it takes to have the files of a stream."""

    client: HttpClient
    cache: SourceCache
    prober: Prober
    settings: Settings

    @asynccontextmanager
    async def plain(self, resource: Resource, *, is_settled: bool = False) -> AsyncIterator[Plain]:
        """What is behind an address, decrypted.

        Args:
            resource: the address.
            is_settled: it was fetched a moment ago, and its server need not be asked for changes.

        Raises:
            SourceError: it cannot be had, or not be decrypted (`source_invalid`).
            OwnFaultError: the disk is full.
        """
        fresh_ms = SETTLED_MS if is_settled else self.settings.source_fresh_ms
        async with fetch_whole(
            self.client, self.cache, resource.url, fresh_ms=fresh_ms, span=resource.span
        ) as fetched:
            path, identity = fetched.path, fetched.identity
            size = path.stat().st_size
            if resource.span is not None and size != resource.span[1] - resource.span[0]:
                raise segment_error(
                    FallbackReason.CDN_ERROR, f"{shown(resource.url)} has only {size} bytes of its byte range"
                )
            if resource.key is None:
                yield Plain(path, identity)
                return
            key, iv = await self._key(resource.key.url, fresh_ms), resource.key.iv
            # Identities get into names and events: nothing of the key may be read from one.
            identity = f"plain-{hashlib.sha256(key + iv + identity.encode()).hexdigest()}"
            make = self.writing(lambda: decrypted(read_chunks(path), key, iv))
            async with self.cache.kept(identity, make) as path:
                yield Plain(path, identity)

    @asynccontextmanager
    async def joined(self, files: Sequence[Plain]) -> AsyncIterator[Path]:
        """One file of several, one behind the other."""
        if len(files) == 1:
            yield files[0].path
            return
        make = self.writing(lambda: (chunk for file in files for chunk in read_chunks(file.path)))
        async with self.cache.kept(f"hls joined {[file.identity for file in files]}", make) as path:
            yield path

    def writing(self, content: Content) -> Callable[[Path], Awaitable[None]]:
        """Makes a file of the cache of `content()`, which is read in a thread, again after a full disk.

        A ValueError of the content is a `source_invalid`.
        """

        async def make(draft: Path) -> None:
            try:
                await self.cache.on_disk(partial(_write, draft, content))
            except ValueError as error:
                raise segment_error(FallbackReason.SOURCE_INVALID, str(error)) from error

        return make

    async def _key(self, url: str, fresh_ms: int) -> bytes:
        async with fetch_whole(
            self.client, self.cache, url, fresh_ms=fresh_ms, max_bytes=KEY_BYTES
        ) as fetched:
            key = await self.cache.on_disk(fetched.path.read_bytes)
        if len(key) != KEY_BYTES:
            raise segment_error(
                FallbackReason.SOURCE_INVALID,
                f"the key {shown(url)} has not {KEY_BYTES} bytes but {len(key)}",
            )
        return key


def read_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, by the mebibyte."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def segment_error(reason: FallbackReason, message: str, *, retryable: bool = False) -> SourceError:
    """What is wrong with a segment; whoever knows which one adds its number."""
    return SourceError(reason, message, stage="fetch", retryable=retryable)


def _write(draft: Path, content: Content) -> None:
    with draft.open("wb") as file:
        file.writelines(content())
