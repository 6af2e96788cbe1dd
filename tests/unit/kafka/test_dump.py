"""Records as lines of JSON: nothing is lost on the way out and in, and what is no record is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.errors import UsageError
from stream_app.kafka.dump import dumped, read_dump
from stream_app.kafka.record import Record
from topics.ids import RecordRef

RECORDS = st.builds(
    Record,
    st.builds(
        RecordRef, st.sampled_from(["mix-events", "dead-letters"]), st.integers(0, 15), st.integers(0, 2**62)
    ),
    st.integers(-1, 2**62),
    st.none() | st.binary(max_size=30),
    st.none() | st.binary(max_size=60),
    st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=8)), max_size=3),
)

OF_KCAT = (
    b'{"topic":"dead-letters","partition":0,"offset":0,"tstype":"create","ts":1795805990652,"broker":1,'
    b'"headers":["a","1","a","2","bin","\xff\\u0000x","none",null],"key":"k",'
    b'"payload":"plain \xc3\xa9 \\"q\\" \\n"}\n'
)


@given(RECORDS)
def test_what_was_dumped_is_read_as_it_was(record: Record) -> None:
    line = dumped(record)
    assert b"\n" not in line
    assert list(read_dump([line], "a dump")) == [record]


def test_a_line_of_kcat_is_read_with_its_very_bytes() -> None:
    (record,) = read_dump([OF_KCAT, b"\n"], "a dump")
    assert record.headers == [("a", b"1"), ("a", b"2"), ("bin", b"\xff\0x"), ("none", None)]
    assert record.value == b'plain \xc3\xa9 "q" \n'
    assert record.header("none") is None


@pytest.mark.parametrize(
    "line", [b"no json", b"[]", b"{}", b'{"topic":"t","partition":"x"}', b'{"type":"mix-request"}']
)
def test_a_line_that_is_no_record_is_named(line: bytes) -> None:
    with pytest.raises(UsageError, match=r"x\.jsonl, line 3 is no record"):
        list(read_dump([OF_KCAT, OF_KCAT, line], "x.jsonl"))


def test_text_stays_readable() -> None:
    (record,) = read_dump([OF_KCAT], "a dump")
    assert json.loads(dumped(record).decode(errors="surrogateescape"))["payload"].startswith("plain é")
