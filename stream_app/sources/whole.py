"""Fetch all of what is behind an address, or all of a range of its bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stream_app.sources.cache import SourceCache
from stream_app.sources.http import HttpClient
from stream_app.sources.opening import open_remote
from stream_app.sources.remote import Place
from stream_app.sources.source_file import ByteSpan
from stream_app.sources.validator import Validator


@dataclass(frozen=True)
class FetchedFile:
    """A whole file in the cache.

    Attributes:
        path: where it is.
        identity: names its content.
        validator: what its server says of it.
        url: its last address, after redirects: what relative addresses in it count from.
    """

    path: Path
    identity: str
    validator: Validator
    url: str


@asynccontextmanager
async def fetch_whole(
    client: HttpClient,
    cache: SourceCache,
    url: str,
    *,
    fresh_ms: int,
    span: ByteSpan | None = None,
    max_bytes: int | None = None,
) -> AsyncIterator[FetchedFile]:
    """Have the file behind `url`, safe from eviction in the context; in one request when all goes well.

    Args:
        client: to ask with.
        cache: where it is kept.
        url: the address, http or https.
        fresh_ms: its server is not asked for changes again for so long.
        span: a range of its bytes that is wanted as a file of its own; shorter when it ends before.
        max_bytes: of an answer; default: `max_source_bytes`.

    Raises:
        SourceError: it cannot be had.
        OwnFaultError: the disk is full, or another process is stuck.
    """
    place = Place(url, span)
    async with open_remote(client, cache, place, fresh_ms=fresh_ms, max_bytes=max_bytes) as remote:
        await remote.ensure_all()
        yield FetchedFile(remote.path, remote.known.identity, remote.known.validator, remote.known.url)
