"""When each segment is shown, on the source's clock: by the times in the media, not those of the playlist.

The clock's zero is the first picture of the first segment. The segments between two discontinuities share
a clock of their own, and such a group begins where the one before it ended; so the lengths of all earlier
groups are measured too, by their first and last segments.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, groupby

from stream_app.domain.errors import SourceError
from stream_app.sources.hls.playlist import US, Segment
from stream_app.sources.hls.segments import Segments
from stream_app.sources.hls.selection import bracket, next_look
from stream_app.sources.source_file import Times
from stream_app.sources.transport_stream import CLOCK_HZ, CLOCK_WRAP
from topics.reasons import FallbackReason

MAX_GROUPS = 100
"""Discontinuities before a span; each costs two segments."""

MAX_LOOKS = 24
"""Segments that are measured in search of one. A playlist whose lengths are true takes one or two, and one
that is off by some percent four or five."""

LEAD_S = Fraction(1, 2)
"""Where nobody looked for a keyframe, the first pictures of a segment may need the one before it."""

MAX_ERROR, MAX_ERROR_S = Fraction(1, 2), 3
"""A clock that runs so much otherwise than the playlist tells does not run: it jumps, unannounced."""

_WRAP_S = Fraction(CLOCK_WRAP, CLOCK_HZ)


@dataclass(frozen=True)
class Shown:
    """When a segment is shown, in seconds after the source's first picture.

    Attributes:
        first: its first picture.
        key: its first one that can be decoded without an earlier segment, if it has one.
        end: of its last picture.
    """

    first: Fraction
    key: Fraction | None
    end: Fraction


class Timeline:
    """The clock of a playlist, as far as somebody looked.

    Attributes:
        expected: when the playlist says that each segment begins, in seconds.
        groups: the places of each group's segments.
    """

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        listed = [segments[place] for place in range(len(segments))]
        # Rising even where lengths of 0 are told.
        lengths = [max(segment.length, Fraction(1, US)) for segment in listed]
        self.expected = list(accumulate(lengths[:-1], initial=Fraction(0)))
        self.groups = _groups(listed)
        self._shown: dict[int, Shown] = {}

    def group_of(self, place: int) -> range:
        """The places of the segments that share the clock of this one."""
        return self.groups[self._segments[place].group]

    async def shown(self, place: int) -> Shown:
        """When the segment at `place` is shown.

        Raises:
            SourceError: a segment that it takes cannot be had (see `Segments`), or the clock jumps without
                notice (`source_invalid`).
            OwnFaultError: the disk is full.
        """
        if place not in self._shown:
            group = self._segments[place].group
            if group > MAX_GROUPS:
                number = self._segments[place].number
                raise _invalid(f"segment {number} comes after {group} discontinuities; {MAX_GROUPS} may be")
            edges = [place for earlier in self.groups[:group] for place in (earlier[0], earlier[-1])]
            await self._segments.fetch([*edges, self.groups[group][0], place])
            begin = Fraction(0)
            for earlier in self.groups[:group]:
                begin += await self._length(earlier)
            self._shown[place] = self._checked(place, await self._in_group(place, begin))
        return self._shown[place]

    async def last_by(self, moment: Fraction) -> int:
        """The last segment whose first picture is shown at `moment` or before; the first one, if none is.

        Raises:
            SourceError, OwnFaultError: as `shown` does.
        """
        for _ in range(MAX_LOOKS):
            # Where a segment ends the next one begins: that one is later, then, and need not be looked at.
            later = {place + 1: shown.end for place, shown in self._shown.items() if shown.end > moment}
            known = {place: value for place, value in later.items() if place < len(self.expected)}
            known |= {place: shown.first for place, shown in self._shown.items()}
            look_at = next_look(self.expected, known, moment)
            if look_at is None:
                return max(0, bracket(known, moment, len(self.expected))[0])
            await self.shown(look_at)
        raise _invalid(f"which segment is shown at {float(moment):.3f} s was not found in {MAX_LOOKS} looks")

    async def decodable_from(self, moment: Fraction) -> int:
        """The last segment from which on the picture at `moment` can be decoded.

        When none is found, it is the first one that a discontinuity lets through, or the last one looked at.

        Raises:
            SourceError, OwnFaultError: as `shown` does.
        """
        nearest = await self.last_by(moment)
        earliest = max(self.group_of(nearest)[0], nearest - MAX_LOOKS)
        for place in range(nearest, earliest, -1):
            key = (await self.shown(place)).key
            if key is not None and key <= moment:
                return place
        return earliest

    async def _length(self, group: range) -> Fraction:
        return (await self._in_group(group[-1], Fraction(0))).end

    async def _in_group(self, place: int, begin: Fraction) -> Shown:
        """When a segment is shown, if its group begins at `begin`."""
        first = self.group_of(place)[0]
        zero, times = await self._times(first), await self._times(place)
        elapsed = times.first * times.time_base - zero.first * zero.time_base
        if self._segments.is_ts(place):
            # The clock of a transport stream begins anew every 26.5 hours.
            elapsed += _WRAP_S * round((self.expected[place] - self.expected[first] - elapsed) / _WRAP_S)
        start = begin + elapsed
        end = start + (times.end - times.first) * times.time_base
        if times.key is None:
            return Shown(start, start + LEAD_S, end)
        key = start + (times.key - times.first) * times.time_base
        return Shown(start, key if key < end else None, end)

    async def _times(self, place: int) -> Times:
        """The times of a segment; of no length for one at the end of a group that has only sound."""
        group = self.group_of(place)
        # That it cannot be had is another matter than that it shows nothing.
        await self._segments.fetch([place])
        try:
            [times] = await self._segments.measure([place])
        except SourceError as error:
            if error.reason is not FallbackReason.SOURCE_INVALID or place != group[-1] or len(group) == 1:
                raise
            [before] = await self._segments.measure([place - 1])
            times = Times(before.end, before.end, before.time_base, before.end)
        return times

    def _checked(self, place: int, shown: Shown) -> Shown:
        expected = self.expected[place]
        if abs(shown.first - expected) > max(expected * MAX_ERROR, Fraction(MAX_ERROR_S)):
            raise _invalid(
                f"segment {self._segments[place].number} is shown at {float(shown.first):.3f} s where the"
                f" playlist says {float(expected):.3f} s: its clock jumps without EXT-X-DISCONTINUITY"
            )
        return shown


def _groups(segments: Iterable[Segment]) -> list[range]:
    groups: list[range] = []
    start = 0
    for _, same in groupby(segments, key=lambda segment: segment.group):
        stop = start + sum(1 for _ in same)
        groups.append(range(start, stop))
        start = stop
    return groups


def _invalid(what: str) -> SourceError:
    return SourceError(FallbackReason.SOURCE_INVALID, what, stage="playlist")
