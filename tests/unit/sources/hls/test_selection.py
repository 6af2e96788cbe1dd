"""Which variant, and how a segment is found whose time the playlist tells only roughly."""

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.sources.hls.playlist import MasterPlaylist, Variant
from stream_app.sources.hls.selection import bracket, choose_variant, next_look

AVC, SOUND = "avc1.64001f,mp4a.40.2", "mp4a.40.2"


@pytest.mark.parametrize(
    "variants",
    [
        [Variant("best", 900, 1280, 720, AVC), Variant("x", 2000, 640, 360, AVC)],
        [Variant("x", 800, 1280, 720, AVC), Variant("best", 900, 1280, 720, AVC)],
        [Variant("best", 900, 1280, 720, AVC), Variant("x", 900, 1280, 720, AVC)],
        [Variant("x", 9000, 0, 0, SOUND), Variant("best", 100, 320, 180, AVC)],
        [Variant("x", 900, 3840, 2160, "dvh1.05.06"), Variant("best", 100, 320, 180, "hvc1.1.6")],
        [Variant("x", 900, 3840, 2160, "hvc1.2.4", "PQ"), Variant("best", 100, 320, 180, AVC, "SDR")],
        [Variant("best", 900, 320, 180, "hvc1.2.4", "HLG"), Variant("x", 900, 0, 0, SOUND)],
        [Variant("x", 900), Variant("best", 100, 320, 180)],
        [Variant("x", 900), Variant("best", 100, codecs=AVC)],
        [Variant("x", 100), Variant("best", 900)],
    ],
)
def test_the_best_picture_that_can_be_decoded(variants: list[Variant]) -> None:
    chosen = choose_variant(MasterPlaylist(tuple(variants)))
    assert chosen is not None
    assert chosen.url == "best"


@pytest.mark.parametrize(
    "variants", [[], [Variant("x", 900, codecs=SOUND)], [Variant("x", 9, codecs="stpp.ttml")]]
)
def test_no_picture(variants: list[Variant]) -> None:
    assert choose_variant(MasterPlaylist(tuple(variants))) is None


def search(expected: list[Fraction], true: list[Fraction], moment: Fraction) -> tuple[int, int]:
    """What is found, and in how many looks; nothing is known to begin with but the first value."""
    known = {0: true[0]}
    while (place := next_look(expected, known, moment)) is not None:
        assert place not in known
        known[place] = true[place]
    return bracket(known, moment, len(expected))[0], len(known) - 1


LENGTHS = st.lists(st.integers(1, 20_000), min_size=1, max_size=60)


def rising(lengths: list[int]) -> list[Fraction]:
    return [Fraction(value, 1000) for value in accumulate(lengths[:-1], initial=0)]


@given(LENGTHS, st.data())
def test_true_lengths_take_two_looks(lengths: list[int], data: st.DataObject) -> None:
    """One at the place and one at the next, which here nobody knows to begin where the first one ends."""
    starts = rising(lengths)
    moment = Fraction(data.draw(st.integers(0, sum(lengths) + 1000)), 1000)
    found, looks = search(starts, starts, moment)
    assert starts[found] <= moment
    assert found == len(starts) - 1 or starts[found + 1] > moment
    assert looks <= 2


@given(LENGTHS, st.data())
def test_any_lengths_lead_to_the_right_place(lengths: list[int], data: st.DataObject) -> None:
    told = data.draw(st.lists(st.integers(1, 20_000), min_size=len(lengths), max_size=len(lengths)))
    true = rising(lengths)
    moment = Fraction(data.draw(st.integers(0, sum(lengths) + 1000)), 1000)
    found, _ = search(rising(told), true, moment)
    assert true[found] <= moment
    assert found == len(true) - 1 or true[found + 1] > moment


@pytest.mark.parametrize("percent", [-8, -3, 3, 8])
def test_lengths_that_are_some_percent_off_take_few_looks(percent: int) -> None:
    """Two hours in segments of 6 s."""
    true = rising([6000] * 1200)
    told = rising([6000 + 60 * percent] * 1200)
    for moment in range(1, 7200, 37):
        found, looks = search(told, true, Fraction(moment))
        assert found == moment // 6
        assert looks <= 6


def test_a_moment_before_everything() -> None:
    values = rising([1000] * 5)
    assert next_look(values, {0: Fraction(3)}, Fraction(2)) is None
    assert bracket({0: Fraction(3)}, Fraction(2), 5) == (-1, 0)
