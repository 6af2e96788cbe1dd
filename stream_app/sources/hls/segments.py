"""The segments of a playlist: fetched, a few at once, and measured."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

from stream_app.domain.errors import SourceError
from stream_app.sources.hls.files import Plain, StreamFiles, segment_error
from stream_app.sources.hls.playlist import Segment
from stream_app.sources.shown import shown
from stream_app.sources.source_file import Times
from stream_app.sources.together import all_of
from stream_app.sources.transport_stream import SYNC
from topics.reasons import FallbackReason

AT_ONCE = 4
"""Segments that are asked for at the same time: browsers ask a host for six things."""

_HEAD_BYTES = 8
_BOXES = frozenset({b"styp", b"sidx", b"moof", b"emsg", b"prft", b"ftyp", b"free", b"skip", b"uuid"})
"""What a segment of fragmented mp4 may begin with."""


class Segments:
    """The segments of one playlist, by their places in it, from 0."""

    def __init__(self, segments: tuple[Segment, ...], files: StreamFiles) -> None:
        self._segments = segments
        self._files = files
        self._few = asyncio.Semaphore(AT_ONCE)
        self._identities: dict[int, str] = {}
        self._times: dict[int, Times] = {}
        self._ts: set[int] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, place: int) -> Segment:
        return self._segments[place]

    def identity(self, place: int) -> str:
        """Names the content of a segment that was fetched."""
        return self._identities[place]

    def is_ts(self, place: int) -> bool:
        """Whether a segment that was fetched is MPEG-TS, not fragmented mp4."""
        return place in self._ts

    async def fetch(self, places: Iterable[int]) -> None:
        """Have these segments in the cache.

        Raises:
            SourceError: one of them cannot be had: `cdn_error` or what else a fetch may end in, or
                `source_invalid` when it is not what it should be. The message names it.
            OwnFaultError: the disk is full.
        """
        await all_of(self._fetch(place) for place in sorted(set(places) - self._identities.keys()))

    async def measure(self, places: Iterable[int]) -> list[Times]:
        """When the video of each of these segments is shown, on the clock of its group.

        Raises:
            SourceError: as `fetch` does; and `source_invalid`, when there is no video in one.
            OwnFaultError: the disk is full.
        """
        wanted = list(places)
        await self.fetch(wanted)
        await all_of(self._measure(place) for place in sorted(set(wanted) - self._times.keys()))
        return [self._times[place] for place in wanted]

    @asynccontextmanager
    async def file(self, place: int) -> AsyncIterator[Plain]:
        """A segment that was fetched, without its map."""
        async with self._files.plain(self[place].media, is_settled=True) as plain:
            if plain.identity != self._identities[place]:
                raise segment_error(
                    FallbackReason.CDN_ERROR,
                    "it has changed between two requests",
                    retryable=True,
                )
            yield plain

    @asynccontextmanager
    async def map(self, place: int) -> AsyncIterator[Plain | None]:
        """What comes before the segment in a file, if anything."""
        resource = self[place].map
        if resource is None:
            yield None
            return
        async with self._files.plain(resource, is_settled=True) as plain:
            yield plain

    @contextmanager
    def naming(self, place: int) -> Iterator[None]:
        """Have failures say which segment it was, and where it is."""
        try:
            yield
        except SourceError as error:
            segment, text = self[place], str(error)
            address = shown(segment.media.url)
            told = text if address in text else f"{address}: {text}"
            raise error.in_words(f"segment {segment.number}: {told}") from error

    async def _fetch(self, place: int) -> None:
        segment = self[place]
        limit = self._files.settings.max_source_bytes
        with self.naming(place):
            if segment.is_gap:
                raise segment_error(FallbackReason.CDN_ERROR, "the playlist has it as missing (EXT-X-GAP)")
            async with self._few, self._files.plain(segment.media) as plain:
                head = await self._files.cache.on_disk(partial(_head, plain.path))
                self._bytes += plain.path.stat().st_size
            if head[:1] == bytes([SYNC]):
                self._ts.add(place)
            elif segment.map is None or head[4:] not in _BOXES:
                raise segment_error(
                    FallbackReason.SOURCE_INVALID,
                    "it is neither MPEG-TS nor fragmented mp4",
                )
            if self._bytes > limit:
                raise segment_error(
                    FallbackReason.SOURCE_INVALID,
                    f"with it more than {limit} bytes would be fetched (RENDER_MAX_SOURCE_BYTES)",
                )
            self._identities[place] = plain.identity

    async def _measure(self, place: int) -> None:
        with self.naming(place):
            async with self.map(place) as map_, self.file(place) as media:
                parts = [media] if map_ is None else [map_, media]
                self._times[place] = await measured(self._files, parts)


async def measured(files: StreamFiles, parts: list[Plain]) -> Times:
    """When the video of `parts`, one behind the other, is shown; found out once for all lines.

    Raises:
        SourceError: `source_invalid`.
        OwnFaultError: the disk is full.
    """

    async def measure(draft: Path) -> None:
        async with files.joined(parts) as path:
            times = await files.prober.measure(path)
        record = [times.first, times.end, times.key, *times.time_base.as_integer_ratio()]
        await files.cache.on_disk(partial(draft.write_text, json.dumps(record)))

    name = f"hls times {[part.identity for part in parts]}"
    async with files.cache.kept(name, measure) as path:
        first, end, key, *time_base = json.loads(await files.cache.on_disk(path.read_bytes))
    return Times(first, end, Fraction(*time_base), key)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)
