import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics.ids import (
    MIX_ID_PATTERN,
    NAMESPACE,
    RecordRef,
    derived_id,
    is_mix_id,
    minted_mix_id,
    parent_span_in,
    span_id_of,
    trace_id_of,
    traceparent,
)

REF = RecordRef("mix-requests", 3, 41)
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"

topic_names = st.text("abcXYZ019._-", min_size=1, max_size=40)
refs = st.builds(
    RecordRef,
    topic_names,
    st.integers(min_value=0, max_value=2**31 - 1),
    st.integers(min_value=0, max_value=2**63 - 1),
)


@given(refs)
def test_a_reference_reads_back(ref: RecordRef) -> None:
    assert RecordRef.parse(str(ref)) == ref


def test_a_reference_is_written_with_slashes() -> None:
    assert str(REF) == "mix-requests/3/41"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a/1",
        "a/1/",
        "/1/2",
        "a/-1/2",
        "a/1/-2",
        "a/1/x",
        "a/ 1/2",
        "a/1_0/2",
        "a/\u0661/2",
        "a/b/1/2",
        "a/1/2\n",
        "a/1/" + "9" * 5000,
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not of the form topic/partition/offset"):
        RecordRef.parse(text)


def test_references_order_by_topic_partition_and_offset() -> None:
    assert RecordRef("a", 1, 10) < RecordRef("a", 2, 9) < RecordRef("b", 0, 0)
    assert RecordRef("a", 1, 9) < RecordRef("a", 1, 10)


def test_derived_ids_never_change() -> None:
    """Pinned: another value would make every redelivery look new."""
    assert UUID("5d0c4f0e-9a3f-5b53-8f0e-3f1c1f6a7c11") == NAMESPACE
    assert derived_id("mix-accepted", REF) == "b5601666-66bb-5142-bfa5-96876cda1933"
    assert minted_mix_id(REF) == "mix-7620e48d-ad19-5d21-8877-f25dcfcb59e8"


@given(st.lists(st.text() | st.integers(), min_size=1, max_size=4))
def test_equal_causes_give_equal_uuid5s(cause: list[str | int]) -> None:
    made = derived_id(*cause)
    assert made == derived_id(*cause)
    assert UUID(made).version == 5


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=4), st.lists(st.integers(0, 99), min_size=1, max_size=4)
)
def test_other_causes_give_other_ids(one: list[int], other: list[int]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)


@given(refs)
def test_minted_mix_ids_are_mix_ids(ref: RecordRef) -> None:
    assert is_mix_id(minted_mix_id(ref))


@pytest.mark.parametrize("text", ["a", "0", "demo-1", "a" * 64, "a--", "0-"])
def test_a_mix_id(text: str) -> None:
    assert is_mix_id(text)
    assert re.search(MIX_ID_PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "-a", "A", "a_b", "a" * 65, "a b", "ä", "a\n", "a/b", "..", "a.b", "\N{KELVIN SIGN}"]
)
def test_no_mix_id(text: str) -> None:
    assert not is_mix_id(text)


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-00",
        f"01-{TRACE_ID}-{PARENT_ID}-01",
        f"cc-{TRACE_ID}-{PARENT_ID}-01-what-the-future-will-be-like",
    ],
)
def test_a_trace_context_is_taken_over(header: str) -> None:
    assert trace_id_of(header, REF) == TRACE_ID


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        TRACE_ID,
        f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}",
        f"00-{TRACE_ID}-{PARENT_ID}-01-more",
        f"cc-{TRACE_ID}-{PARENT_ID}-01.more",
        f"00-{TRACE_ID}0-{PARENT_ID}-01",
        f" 00-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-01\n",
    ],
)
def test_what_is_no_trace_context_is_minted_from_the_record(header: str | None) -> None:
    """As W3C Trace Context says: a header that does not fit is to be ignored."""
    minted = trace_id_of(header, REF)
    assert minted == trace_id_of(None, REF) != TRACE_ID
    assert re.fullmatch(r"[0-9a-f]{32}", minted)
    assert minted != trace_id_of(None, RecordRef("mix-requests", 3, 42))
    assert parent_span_in(header or "") is None


@given(refs)
def test_a_trace_context_goes_out_and_comes_in(ref: RecordRef) -> None:
    event_id = derived_id("mix-accepted", ref)
    header = traceparent(TRACE_ID, event_id)
    assert parent_span_in(header) == span_id_of(event_id)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", header)
    assert trace_id_of(header, REF) == TRACE_ID
