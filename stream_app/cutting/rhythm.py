"""What the times of packets tell of losses and of wrong bits that no demuxer mentions.

Most sources have a steady rate, and in one that has, what falls out of step was lost or says a wrong time.
A variable rate tells next to nothing: there, only times that no encoder would write are taken for damage.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median_low

from stream_app.cutting.damage import REORDER, ReadPacket

MOVED_AT_MOST = 2 * REORDER + 1
"""So many frames at most lie between a frame's place in the data and its place on display: the longest groups
that encoders make have 32 frames."""

STEADY_SHARE = 0.9
"""A rate is steady when so many of its steps are the same; chosen, not measured on real files."""


def holes(packets: Sequence[ReadPacket]) -> list[int]:
    """Numbers of packets before which frames are missing, as a hole in a steady rate shows."""
    told = [packet.dts for packet in packets if packet.dts is not None]
    step = _steady_step(told) if len(told) == len(packets) else None
    if step is None:
        return []
    found = _late(told, step)
    # The last frames by pts come before others by dts: what should have stood between them was cut off.
    tail = sorted(packet.pts for packet in packets[-REORDER:] if packet.pts >= told[-1])
    if any(after - before > step * 3 // 2 for before, after in pairwise(tail)):
        found.append(len(packets))
    return found


def lost_fragments(packets: Sequence[ReadPacket]) -> list[int]:
    """Numbers of packets that come later than the ones before them say, in a steady rate."""
    return [
        number
        for number in holes(packets)
        if number < len(packets)
        and (before := packets[number - 1]).dts is not None
        # Where frames last long on purpose, they say so.
        and before.dts + before.duration * 3 // 2 < (packets[number].dts or 0)
    ]


def unshown(packets: Sequence[ReadPacket]) -> list[int]:
    """Numbers of packets before which no frame is shown, where a steady rate of decoding has no hole.

    The beginning and the end are left out: files that were cut there without encoding begin and end so.
    """
    told = [packet.dts for packet in packets if packet.dts is not None]
    step = _steady_step(told) if len(told) == len(packets) else None
    if step is None:
        return []
    late = _late(told, step)
    shown = sorted((packet.pts, number) for number, packet in enumerate(packets))[REORDER:-REORDER]
    return [
        number
        for (before, _), (after, number) in pairwise(shown)
        if after - before > step * 3 // 2 and not any(abs(number - each) <= REORDER for each in late)
    ]


def strays(packets: Sequence[ReadPacket]) -> list[int]:
    """Numbers of packets that are shown off the beat which nearly all others of a steady rate keep."""
    told = [
        (number, packet.pts, packet.dts) for number, packet in enumerate(packets) if packet.dts is not None
    ]
    step = _steady_step([dts for _, _, dts in told])
    if step is None:
        return []
    off = [number for number, pts, dts in told if abs((pts - dts + step // 2) % step - step // 2) > step // 8]
    return off if len(off) <= (1 - STEADY_SHARE) * len(told) else []


def _late(times: Sequence[int], step: int) -> list[int]:
    """Places of the times that come more than one and a half steps after the ones before them."""
    longest = step * 3 // 2
    return [place for place, (before, after) in enumerate(pairwise(times), 1) if after - before > longest]


def _steady_step(times: Sequence[int]) -> int | None:
    """The step that nearly all times are apart, give or take one; None without one."""
    steps = Counter(after - before for before, after in pairwise(times))
    step = steps.most_common(1)[0][0] if steps else 0
    near = sum(steps[each] for each in (step - 1, step, step + 1))
    return step if step > 0 and near >= STEADY_SHARE * len(times) else None


def is_displaced(packets: Sequence[ReadPacket]) -> bool:
    """Whether a frame is shown farther from its place in the data than any encoder would move it.

    Then bits of the index are wrong, and others may be that do not show.
    """
    told = [(packet.pts, packet.dts) for packet in packets if packet.dts is not None]
    if len(told) < 2:  # noqa: PLR2004 - a step is from one to another
        return False
    longest = max(1, *(after - before for (_, before), (_, after) in pairwise(told)))
    ahead = [pts - dts for pts, dts in told]
    usual = median_low(ahead)
    return any(abs(each - usual) > MOVED_AT_MOST * longest for each in ahead)


def contradicts_itself(packets: Sequence[ReadPacket]) -> bool:
    """Whether a time is impossible: shown before it is decoded, or decoded out of turn and the next not."""
    told = [packet.dts for packet in packets if packet.dts is not None]
    return any(packet.dts is not None and packet.dts > packet.pts for packet in packets) or any(
        before <= after and not before <= dts <= after
        for before, dts, after in zip(told, told[1:], told[2:], strict=False)
    )
