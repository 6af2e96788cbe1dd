"""Sets of bytes, against sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream_app.sources.source_file import ByteSpan
from stream_app.sources.spans import bounded, missing, union

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def members(spans: tuple[ByteSpan, ...] | list[ByteSpan]) -> set[int]:
    return {byte for start, stop in spans for byte in range(start, stop)}


def is_tidy(spans: tuple[ByteSpan, ...]) -> bool:
    return all(start < stop for start, stop in spans) and all(a[1] < b[0] for a, b in pairwise(spans))


@given(SPANS)
def test_a_union_has_the_bytes_of_all(spans: list[ByteSpan]) -> None:
    merged = union(spans)
    assert members(merged) == members(spans)
    assert is_tidy(merged)


@given(SPANS, st.integers(0, 20))
def test_gaps_up_to_a_length_are_closed_and_no_others(spans: list[ByteSpan], gap: int) -> None:
    merged = union(spans, gap=gap)
    assert members(merged) >= members(spans)
    assert all(b[0] - a[1] > gap for a, b in pairwise(merged))
    closed = members(merged) - members(spans)
    assert all(stop - start <= gap for start, stop in union((byte, byte + 1) for byte in closed))


@given(SPANS, SPANS)
def test_missing_is_what_is_wanted_and_not_present(wanted: list[ByteSpan], present: list[ByteSpan]) -> None:
    gaps = missing(wanted, present)
    assert members(gaps) == members(wanted) - members(present)
    assert is_tidy(gaps)


def test_spans_end_where_the_file_does() -> None:
    assert bounded([(-5, 3), (8, 20), (15, 30)], 10) == ((0, 3), (8, 10))
