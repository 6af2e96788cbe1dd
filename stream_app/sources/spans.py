"""Sets of bytes of a file, as sorted spans that do not touch."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from stream_app.sources.source_file import ByteSpan


def union(spans: Iterable[ByteSpan], *, gap: int = 0) -> tuple[ByteSpan, ...]:
    """The bytes of all `spans`, sorted; and those between two of them that are no more than `gap` apart."""
    merged: list[ByteSpan] = []
    for start, stop in sorted(spans):
        if start >= stop:
            continue
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return tuple(merged)


def missing(wanted: Iterable[ByteSpan], present: Iterable[ByteSpan]) -> tuple[ByteSpan, ...]:
    """The bytes of `wanted` that are not `present`."""
    there = union(present)
    starts = [start for start, _ in there]
    gaps: list[ByteSpan] = []
    for start, stop in union(wanted):
        at = start
        for other_start, other_stop in there[
            max(0, bisect_right(starts, start) - 1) : bisect_left(starts, stop)
        ]:
            if at < other_start:
                gaps.append((at, other_start))
            at = max(at, other_stop)
        if at < stop:
            gaps.append((at, stop))
    return tuple(gaps)


def bounded(spans: Iterable[ByteSpan], size: int) -> tuple[ByteSpan, ...]:
    """The part of `spans` that lies in a file of `size` bytes."""
    return union((max(0, start), min(stop, size)) for start, stop in spans)
