import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics.codec import (
    MAX_NESTING,
    MAX_RECORD_BYTES,
    Poison,
    Tombstone,
    encode,
    read_event,
    read_object,
    read_task,
)
from topics.events import MixFailed
from topics.reasons import MixFailure

FAILED = MixFailed(
    event_id="57f0e987-882e-5084-ba9a-86b9d2ea5d72",
    mix_id="demo-1",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    caused_by="mix-events/3/112",
    at_ms=1_764_000_007_300,
    reason=MixFailure.SONG_INVALID,
    message="two\nlines, ünï 🎵, a \x00 and a \u2028",
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> bytes:
    """An object in an object, `depth` levels of them."""
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@given(st.binary())
def test_no_bytes_make_reading_raise(raw: bytes) -> None:
    assert isinstance(read_object(raw), dict | Poison)
    assert isinstance(read_event(raw), Poison)
    assert isinstance(read_task(raw), Poison)


@given(json_values)
def test_no_json_makes_reading_raise(value: Any) -> None:
    raw = json.dumps(value).encode()
    read = read_object(raw)
    assert isinstance(read, dict | Poison)
    assert isinstance(read_event(raw), Poison)
    assert isinstance(read_task(raw), Poison)
    if isinstance(read, dict):
        assert read == value


@given(st.sampled_from([*MixFailed.model_fields, "unknown"]), json_values)
def test_no_value_of_a_field_makes_reading_raise(field: str, value: Any) -> None:
    raw = json.dumps(FAILED.model_dump(mode="json") | {field: value}).encode()
    assert isinstance(read_event(raw), MixFailed | Poison)


@given(st.binary(min_size=1), st.integers(min_value=0))
def test_no_damage_to_an_event_makes_reading_raise(damage: bytes, at: int) -> None:
    whole = encode(FAILED)
    place = at % len(whole)
    assert isinstance(read_event(whole[:place] + damage + whole[place + 1 :]), MixFailed | Poison)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"[1]",
        b"null",
        b'"text"',
        b"1",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":1}{"b":2}',
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'{"a":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_json_object_is_poison(raw: bytes) -> None:
    read = read_object(raw)
    assert isinstance(read, Poison)
    assert read.stage == "decode"
    assert read.error


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert read_object(b'{"a":"\\ud83c\\udfb5"}') == {"a": "🎵"}


@pytest.mark.parametrize("depth", [1, 2, MAX_NESTING])
def test_nesting_within_the_limit_is_read(depth: int) -> None:
    assert isinstance(read_object(nested(depth)), dict)


@pytest.mark.parametrize("depth", [MAX_NESTING + 1, MAX_NESTING + 50, 100_000])
def test_nesting_beyond_the_limit_is_poison(depth: int) -> None:
    assert isinstance(read_object(nested(depth)), Poison)


def test_arrays_count_as_levels_too() -> None:
    inside = MAX_NESTING - 1
    assert isinstance(read_object(b'{"a":' + b"[" * inside + b"]" * inside + b"}"), dict)
    assert isinstance(read_object(b'{"a":[' + b"[" * inside + b"]" * inside + b"]}"), Poison)


@pytest.mark.parametrize("read", [read_object, read_event, read_task])
def test_no_value_is_a_tombstone(read: Any) -> None:
    assert read(None) == Tombstone()


def test_an_event_comes_back_as_it_was() -> None:
    assert read_event(encode(FAILED)) == FAILED


def test_an_event_is_one_line() -> None:
    assert b"\n" not in encode(FAILED)


@pytest.mark.parametrize(
    ("field", "value"),
    [("type", "mix-unheard-of"), ("mix_id", "Not An Id"), ("at_ms", "yesterday"), ("reason", "bored")],
)
def test_an_event_that_does_not_fit_says_which_field(field: str, value: Any) -> None:
    read = read_event(json.dumps(FAILED.model_dump(mode="json") | {field: value}).encode())
    assert isinstance(read, Poison)
    assert read.stage == "validate"
    assert field in read.error or str(value) in read.error


def test_a_record_has_room_for_ten_thousand_lines_with_candidates() -> None:
    assert MAX_RECORD_BYTES == 16_777_216


def test_why_a_record_does_not_fit_says_where_and_never_with_which_value() -> None:
    raw = b'{"type": "clip-task", "mix_id": 7, "uri": "http://ann:hunter2@cdn.example/a.mp4?k=hunter2"}'
    read = read_task(raw)
    assert isinstance(read, Poison)
    assert "mix_id: Input should be a valid string" in read.error
    assert "event_id: Field required" in read.error
    assert "hunter2" not in read.error


def test_very_many_errors_of_a_record_are_told_in_short() -> None:
    read = read_event(b'{"type": "mix-accepted", "lines": [' + b", ".join([b"{}"] * 1000) + b"]}")
    assert isinstance(read, Poison)
    assert read.error.endswith(" more")
    assert len(read.error) < 3000
