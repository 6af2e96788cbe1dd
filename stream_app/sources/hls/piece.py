"""The part of a stream that is handed out: which segments it has, and the file made of them."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from stream_app.domain.frames import SECOND_MS
from stream_app.sources.hls.files import Plain, StreamFiles, read_chunks, segment_error
from stream_app.sources.hls.segments import Segments, measured
from stream_app.sources.hls.splice import Splicer
from stream_app.sources.hls.timeline import Timeline
from stream_app.sources.source_file import Need
from stream_app.sources.transport_stream import CLOCK_HZ, CLOCK_WRAP
from topics.reasons import FallbackReason

AFTER_S = Fraction(1, 2)
"""Data beyond a span that are taken along: a frame may be stored some frames after its turn, 16 at most."""

INSTANT_S = Fraction(1, 1000)
"""A span that ends where a segment begins does not need that one."""

MAX_STRETCH, MAX_STRETCH_S = Fraction(3, 2), 1
"""A piece that lasts so much longer than the playlist tells has a hole in its clock."""

MISSING_S = Fraction(1, 2)
"""A file that is read as so much shorter than its segments was not read whole: the last frame's length, which
is guessed, makes less."""

SEAMLESS_S = Fraction(1, 100)
"""Two stretches of fragmented mp4 whose clocks meet as well as this are one."""


@dataclass(frozen=True)
class Piece:
    """A run of segments.

    Attributes:
        places: which.
        starts_at: when its first picture is shown, on the source's clock, in seconds.
        length: from there to the end of its last picture.
        shifts: what is added to the clock of each segment, in ticks of MPEG-TS, so that the clock runs on
            over discontinuities.
    """

    places: range
    starts_at: Fraction
    length: Fraction
    shifts: tuple[int, ...]


def expected_places(timeline: Timeline, need: Need) -> list[int]:
    """The segments that `need` takes if the playlist's times are true: to be asked for at once."""
    first, until, after = (max(0, bisect_right(timeline.expected, moment) - 1) for moment in _moments(need))
    return [0, *range(first, _last(until, after, timeline) + 1)]


async def choose_piece(timeline: Timeline, segments: Segments, need: Need) -> Piece:
    """The segments that `need` takes: from one with a keyframe before the span to one that ends behind it.

    Raises:
        SourceError: a segment that it takes cannot be had; `source_invalid`, when the span's own frames lie
            in stretches that cannot be put into one file.
        OwnFaultError: the disk is full.
    """
    start, end, beyond = _moments(need)
    first = await timeline.decodable_from(start)
    until, after = await timeline.last_by(end), await timeline.last_by(beyond)
    places = range(first, max(first, _last(until, after, timeline)) + 1)
    await segments.fetch(places)
    places = await _in_one_file(places, timeline, segments, need)
    begin, stop = await timeline.shown(first), await timeline.shown(places[-1])
    length = stop.end - begin.first
    told = sum((segments[place].length for place in places), Fraction(0))
    if not 0 < length <= told * MAX_STRETCH + MAX_STRETCH_S:
        raise segment_error(
            FallbackReason.SOURCE_INVALID,
            f"from segment {segments[first].number} to {segments[places[-1]].number} {float(length):.3f} s"
            f" pass where the playlist says {float(told):.3f} s: the clock jumps without EXT-X-DISCONTINUITY",
        )
    return Piece(places, begin.first, length, await _shifts(places, timeline, segments))


@asynccontextmanager
async def made(piece: Piece, segments: Segments, files: StreamFiles) -> AsyncIterator[Plain]:
    """The file of `piece` in the cache.

    Raises:
        SourceError: `source_invalid`, when its segments do not make one stream.
        OwnFaultError: the disk is full.
    """
    first = piece.places[0]
    if len(piece.places) == 1 and segments[first].map is None:
        async with segments.file(first) as plain:
            yield plain
        return
    async with segments.map(first) as map_:
        parts = [
            (segments.identity(place), shift) for place, shift in zip(piece.places, piece.shifts, strict=True)
        ]
        recipe = json.dumps([map_.identity if map_ else None, parts])
    identity = f"hls-{hashlib.sha256(recipe.encode()).hexdigest()}"
    async with files.cache.kept(identity, partial(_make, piece, segments, files)) as path:
        plain = Plain(path, identity)
        if segments[first].group != segments[piece.places[-1]].group:
            await _verify(plain, piece, files)
        yield plain


def _moments(need: Need) -> tuple[Fraction, Fraction, Fraction]:
    """In seconds: where the span begins, the last moment in it, and until when data may belong to it."""
    end = need.end_ms / SECOND_MS
    return Fraction(need.start_ms, SECOND_MS), end - INSTANT_S, end + AFTER_S


def _last(until: int, after: int, timeline: Timeline) -> int:
    """The last segment of a piece: no frame is stored beyond a discontinuity after its turn."""
    return min(after, timeline.group_of(until)[-1])


async def _in_one_file(places: range, timeline: Timeline, segments: Segments, need: Need) -> range:
    """As many of `places` as one file can hold; an extension may be cut short, the frames before it not."""
    for place in places[1:]:
        if await _goes_on(place, segments):
            continue
        border = (await timeline.shown(place)).first
        if border < Fraction(need.start_ms, SECOND_MS) + need.frames / need.rate:
            raise segment_error(
                FallbackReason.SOURCE_INVALID,
                f"the stream is another one from segment {segments[place].number} on, at"
                f" {float(border):.3f} s: a line must lie before or behind that",
            )
        return range(places[0], place)
    return places


async def _goes_on(place: int, segments: Segments) -> bool:
    """Whether a segment can follow the one before it in a file."""
    before, segment = segments[place - 1], segments[place]
    if segments.is_ts(place) or segments.is_ts(place - 1):
        return segments.is_ts(place) and segments.is_ts(place - 1) and segment.map == before.map
    if segment.map != before.map:
        async with segments.map(place - 1) as one, segments.map(place) as other:
            if one is None or other is None or one.identity != other.identity:
                return False
    if segment.group == before.group:
        return True
    ended, begins = await segments.measure([place - 1, place])
    gap = begins.first * begins.time_base - ended.end * ended.time_base
    return abs(gap) <= SEAMLESS_S


async def _shifts(places: range, timeline: Timeline, segments: Segments) -> tuple[int, ...]:
    """What makes the clock of each group run on from the one before, when there is more than one."""
    if not segments.is_ts(places[0]) or segments[places[0]].group == segments[places[-1]].group:
        return (0,) * len(places)
    [zero] = await segments.measure(places[:1])
    begin = (await timeline.shown(places[0])).first
    shifts: dict[int, int] = {}
    for place in places:
        group = segments[place].group
        if group not in shifts:
            [times] = await segments.measure([place])
            due = zero.first + round(((await timeline.shown(place)).first - begin) * CLOCK_HZ)
            shifts[group] = (due - times.first) % CLOCK_WRAP
    return tuple(shifts[segments[place].group] for place in places)


async def _make(piece: Piece, segments: Segments, files: StreamFiles, draft: Path) -> None:
    splicer = Splicer()
    first = piece.places[0]
    at = 0
    async with segments.map(first) as map_:
        if map_ is not None:
            at = await _append(draft, at, partial(read_chunks, map_.path), files)
    for place, shift in zip(piece.places, piece.shifts, strict=True):
        with segments.naming(place):
            async with segments.file(place) as plain:
                content: Callable[[], Iterable[bytes]] = partial(read_chunks, plain.path)
                if segments.is_ts(place):
                    content = partial(_spliced, splicer, plain.path, shift)
                at = await _append(draft, at, content, files)


def _spliced(splicer: Splicer, path: Path, shift: int) -> Iterable[bytes]:
    return splicer.spliced(read_chunks(path), shift)


async def _append(draft: Path, at: int, content: Callable[[], Iterable[bytes]], files: StreamFiles) -> int:
    """Write `content()` at byte `at`; returns where it ends."""
    try:
        return await files.cache.on_disk(partial(_write_at, draft, at, content))
    except ValueError as error:
        raise segment_error(FallbackReason.SOURCE_INVALID, str(error)) from error


def _write_at(draft: Path, at: int, content: Callable[[], Iterable[bytes]]) -> int:
    draft.touch()
    with draft.open("r+b") as file:
        file.seek(at)
        file.truncate()
        file.writelines(content())
        return file.tell()


async def _verify(plain: Plain, piece: Piece, files: StreamFiles) -> None:
    """Refuse a file that a demuxer does not read to its end, because its streams change on the way."""
    times = await measured(files, [plain])
    length = (times.end - times.first) * times.time_base
    if abs(length - piece.length) > MISSING_S:
        raise segment_error(
            FallbackReason.SOURCE_INVALID,
            "the stream changes its kind at a discontinuity: a line must lie before or behind that",
        )
