"""How long a mix may still take, from the pace of the lines that were done last."""

from collections.abc import Iterable

from stream_app.domain.mix import Mix

RECENT = 64
"""Lines that the pace is the mean of: enough to even out long and short ones. What was before them, such as
an hour in which no worker ran, is of no meaning for what comes."""


def remaining_ms(done_at_ms: Iterable[int], *, began_ms: int, left: int, now_ms: int) -> int | None:
    """How long `left` further lines take at the mean pace of the last ones; `None` when nothing is known.

    Args:
        done_at_ms: when each line was done, in any order.
        began_ms: when the work began; lines done before it, those of an earlier revision, say nothing.
        left: lines that have no outcome yet.
        now_ms: the time; while no line comes the pace falls.
    """
    if left == 0:
        return 0
    moments = sorted(moment for moment in done_at_ms if moment >= began_ms)
    if not moments:
        return None
    first = began_ms if len(moments) <= RECENT else moments[-RECENT - 1]
    elapsed_ms = max(now_ms, moments[-1]) - first
    return elapsed_ms * left // min(len(moments), RECENT)


def remaining_of(mix: Mix, now_ms: int) -> int | None:
    """How long the lines of a mix that is in work may still take; `None` when nothing is known."""
    if mix.accepted is None:
        return None
    done = [outcome.at_ms for outcome in mix.effective_outcomes]
    left = mix.accepted.total_clips - len(done)
    return remaining_ms(done, began_ms=mix.accepted.at_ms, left=left, now_ms=now_ms)
