"""Which variant, and which segments. Pure decisions; the search asks for what it has to know next."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction

from stream_app.sources.hls.playlist import MasterPlaylist, Variant

VIDEO_CODECS = ("avc", "hvc", "hev", "vp09", "vp08", "av01", "mp4v")
"""How the names of decodable video in CODECS begin. Not Dolby Vision (dvh1, dvhe): its base picture alone
has wrong colours."""


def choose_variant(playlist: MasterPlaylist) -> Variant | None:
    """The variant to cut from; None when none of them has video that can be decoded.

    What a clip's size will be is not known here, so the best picture is taken: standard range before high
    (which has to be tone-mapped), then most pixels, then most bits, then what the playlist has first.
    Without RESOLUTION and CODECS a variant may be sound alone and comes last.
    """
    usable = [variant for variant in playlist.variants if _may_have_video(variant)]
    return max(
        usable,
        key=lambda variant: (
            variant.range in ("", "SDR"),
            variant.width * variant.height,
            bool(variant.codecs),
            variant.bandwidth,
        ),
        default=None,
    )


def _may_have_video(variant: Variant) -> bool:
    codecs = [codec.strip() for codec in variant.codecs.lower().split(",") if codec.strip()]
    return not codecs or any(codec.startswith(VIDEO_CODECS) for codec in codecs)


def bracket(known: Mapping[int, Fraction], moment: Fraction, count: int) -> tuple[int, int]:
    """Between which of `count` rising values `moment` lies, as far as some of them are `known`.

    Returns:
        `(below, above)`: the last one known to be at or before `moment` (-1: none), and the first one after
        that known to be later (`count`: none). The answer is found when they are neighbours.
    """
    below = max((place for place, value in known.items() if value <= moment), default=-1)
    above = min((place for place, value in known.items() if value > moment and place > below), default=count)
    return below, above


def next_look(expected: Sequence[Fraction], known: Mapping[int, Fraction], moment: Fraction) -> int | None:
    """Which value to find out next in order to know the last one at or before `moment`; None: it is known.

    Args:
        expected: what the values should be, rising; their distances count, not their height.
        known: those that were found out.
        moment: what is looked for.

    Returns:
        A place that is not known, between those of `bracket`: the one where `moment` should be by the
        distances expected, stretched to fit what is known on both sides.
    """
    below, above = bracket(known, moment, len(expected))
    if below + 1 == above:
        return None
    if below >= 0:
        wanted = moment - known[below]
        if above < len(expected):
            wanted *= (expected[above] - expected[below]) / (known[above] - known[below])
        wanted += expected[below]
    elif above < len(expected):
        wanted = moment - known[above] + expected[above]
    else:
        wanted = moment
    return min(max(bisect_right(expected, wanted) - 1, below + 1), above - 1)
