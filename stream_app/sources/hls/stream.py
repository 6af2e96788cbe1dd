"""From a playlist and a span to one local file: the needed segments, one behind the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream_app.settings import Settings
from stream_app.sources.cache import SourceCache
from stream_app.sources.hls.files import StreamFiles
from stream_app.sources.hls.piece import choose_piece, expected_places, made
from stream_app.sources.hls.playlist import (
    MAX_PLAYLIST_BYTES,
    MasterPlaylist,
    MediaPlaylist,
    invalid,
    is_playlist,
    read_playlist,
)
from stream_app.sources.hls.segments import Segments
from stream_app.sources.hls.selection import choose_variant
from stream_app.sources.hls.timeline import Timeline
from stream_app.sources.http import HttpClient
from stream_app.sources.source_file import Need, Prober, SourceFile
from stream_app.sources.whole import fetch_whole


@asynccontextmanager
async def obtain_hls(
    playlist: bytes,
    url: str,
    need: Need,
    *,
    client: HttpClient,
    cache: SourceCache,
    prober: Prober,
    settings: Settings,
) -> AsyncIterator[SourceFile]:
    """A local file with the segments of a playlist that `need` takes; good inside the context.

    Of a master playlist the best variant is taken (see `choose_variant`).

    Args:
        playlist: its bytes.
        url: where it came from in the end.
        need: the span, on the source's clock, which begins with the first picture of the first segment.
        client: fetches.
        cache: keeps what was fetched, and the file that is handed out.
        prober: measures segments.
        settings: limits.

    Raises:
        SourceError: `cdn_error` (or another reason of a fetch), when a segment that is needed cannot be had:
            the first one, those of the span, and the first and last one of each stretch up to a
            discontinuity before it; `source_invalid`, when the playlist or a segment cannot be used;
            `source_refused`, when an address is forbidden.
        OwnFaultError: the disk is full.
    """
    files = StreamFiles(client, cache, prober, settings)
    recording = await _media_playlist(playlist, url, files)
    segments = Segments(recording.segments, files)
    timeline = Timeline(segments)
    await segments.fetch(expected_places(timeline, need))
    piece = await choose_piece(timeline, segments, need)
    async with made(piece, segments, files) as plain:
        yield SourceFile(plain.path, f"{plain.identity} at {piece.starts_at}", piece.starts_at)


async def _media_playlist(data: bytes, url: str, files: StreamFiles) -> MediaPlaylist:
    playlist = await asyncio.to_thread(read_playlist, data, url)
    if isinstance(playlist, MediaPlaylist):
        return playlist
    variant = choose_variant(playlist)
    if variant is None:
        raise invalid(url, "has no variant with video that can be decoded here")
    async with fetch_whole(
        files.client,
        files.cache,
        variant.url,
        fresh_ms=files.settings.source_fresh_ms,
        max_bytes=MAX_PLAYLIST_BYTES,
    ) as fetched:
        data, url = await files.cache.on_disk(fetched.path.read_bytes), fetched.url
    if not is_playlist(data):
        raise invalid(url, "is no playlist, though a master playlist names it")
    playlist = await asyncio.to_thread(read_playlist, data, url)
    if isinstance(playlist, MasterPlaylist):
        raise invalid(url, "is a master playlist, and so is the one that names it")
    return playlist
