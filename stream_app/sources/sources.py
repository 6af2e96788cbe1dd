"""Sources: from the address of a candidate or a song to a local file, whatever the address leads to."""

import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.cache import ROOM_BYTES, SourceCache
from stream_app.sources.hls import MAX_PLAYLIST_BYTES, is_playlist, obtain_hls
from stream_app.sources.http import HttpClient
from stream_app.sources.local import resolve_local
from stream_app.sources.opening import open_remote
from stream_app.sources.progressive import HEAD_BYTES, fetch_needed
from stream_app.sources.remote import Place, RemoteFile
from stream_app.sources.shown import shown
from stream_app.sources.source_file import Need, Prober, SourceFile
from stream_app.sources.whole import fetch_whole
from topics.reasons import FallbackReason

_SNIFF_BYTES = 64
"""Enough to tell a playlist: a byte order mark and `#EXTM3U`."""


class Sources:
    """Obtains sources for a worker; an async context manager that owns the HTTP client.

    Args:
        settings: media roots, limits, and where the cache is.
        prober: looks into what was fetched.
    """

    def __init__(self, settings: Settings, prober: Prober) -> None:
        self._settings = settings
        self._prober = prober
        self._client = HttpClient(settings)
        # Links are no way into a cutter's sandbox.
        self._root = settings.sources_dir.resolve()
        self._cache = SourceCache(self._root, settings.source_cache_bytes)

    async def __aenter__(self) -> Self:
        await self._cache.trim()
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._client.__aexit__(*failure)

    @asynccontextmanager
    async def obtain(self, uri: str, need: Need) -> AsyncIterator[SourceFile]:
        """A local file with what `need` takes of the source `uri`; it may be used inside the context only.

        Raises:
            SourceError: it cannot be had, or does not have what is needed.
            OwnFaultError: a fault of our own side, such as a full disk.
        """
        if not is_remote(uri):
            yield SourceFile(resolve_local(uri, self._settings.media_roots))
            return
        opening = open_remote(
            self._client,
            self._cache,
            Place(uri),
            fresh_ms=self._settings.source_fresh_ms,
            first=(0, HEAD_BYTES),
        )
        with self._told_by_address(uri):
            async with opening as remote, self._needed(remote, need) as file:
                yield file

    @asynccontextmanager
    async def _needed(self, remote: RemoteFile, need: Need) -> AsyncIterator[SourceFile]:
        if not is_playlist(await remote.read((0, _SNIFF_BYTES))):
            yield await fetch_needed(remote, need, self._prober)
            return
        playlist = await _read_playlist(remote)
        async with obtain_hls(
            playlist,
            remote.known.url,
            need,
            client=self._client,
            cache=self._cache,
            prober=self._prober,
            settings=self._settings,
        ) as file:
            yield file

    @asynccontextmanager
    async def obtain_whole(self, uri: str) -> AsyncIterator[SourceFile]:
        """The whole file `uri`, local or not, such as a song; it may be used inside the context only.

        Raises:
            SourceError: it cannot be had.
            OwnFaultError: a fault of our own side, such as a full disk.
        """
        if not is_remote(uri):
            yield SourceFile(resolve_local(uri, self._settings.media_roots))
            return
        fresh_ms = self._settings.source_fresh_ms
        with self._told_by_address(uri):
            async with fetch_whole(self._client, self._cache, uri, fresh_ms=fresh_ms) as fetched:
                yield SourceFile(fetched.path, fetched.identity)

    @contextmanager
    def _told_by_address(self, uri: str) -> Iterator[None]:
        """What goes wrong with a file of the cache is told of the address that it came from."""
        try:
            yield
        except SourceError as error:
            places = re.compile(rf"{re.escape(str(self._root))}\S*")
            error.args = (places.sub(lambda _: shown(uri), str(error)),)
            raise

    async def make_room(self) -> bool:
        """On a full disk, give up fetched sources that nobody uses now; whether any went."""
        if shutil.disk_usage(self._root).free >= ROOM_BYTES:
            return False
        return await self._cache.make_room()


def is_remote(uri: str) -> bool:
    """Whether `uri` is fetched from a server."""
    return uri.partition("://")[0].lower() in ("http", "https")


async def _read_playlist(remote: RemoteFile) -> bytes:
    if remote.size > MAX_PLAYLIST_BYTES:
        raise SourceError(
            FallbackReason.SOURCE_INVALID,
            f"the playlist has {remote.size} bytes; the limit is {MAX_PLAYLIST_BYTES}",
            stage="fetch",
        )
    return await remote.read((0, remote.size))
