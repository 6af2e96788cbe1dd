from hypothesis import given
from hypothesis import strategies as st

from topics.codec import Poison
from topics.dead_letters import PREFIX, dead_letter
from topics.ids import RecordRef

REF = RecordRef("mix-requests", 3, 41)
headers = st.lists(st.tuples(st.text(), st.binary()))


@given(st.binary() | st.none(), st.binary() | st.none(), headers)
def test_bytes_and_headers_are_kept_untouched_and_in_order(
    key: bytes | None, value: bytes | None, own: list[tuple[str, bytes]]
) -> None:
    letter = dead_letter(REF, key, value, own, Poison("no"), timestamp_ms=1, group="g")
    assert (letter.key, letter.value) == (key, value)
    assert letter.headers[: len(own)] == own
    assert all(name.startswith(PREFIX) for name, _ in letter.headers[len(own) :])


def test_the_headers_say_why_and_where_from() -> None:
    why = Poison("not JSON: ünï", stage="validate")
    letter = dead_letter(
        REF, b"k", b"{", (), why, timestamp_ms=1_764_000_000_000, group="clipfold-intake", attempts=3
    )
    assert dict(letter.headers) == {
        "dlq.error.class": b"Poison",
        "dlq.error.message": "not JSON: ünï".encode(),
        "dlq.error.stage": b"validate",
        "dlq.topic": b"mix-requests",
        "dlq.partition": b"3",
        "dlq.offset": b"41",
        "dlq.timestamp": b"1764000000000",
        "dlq.group": b"clipfold-intake",
        "dlq.attempts": b"3",
    }


def test_a_letter_that_died_twice_tells_both_stories() -> None:
    first = dead_letter(REF, None, b"{", [("own", b"1")], Poison("one"), timestamp_ms=1, group="a")
    again = dead_letter(
        RecordRef("dead-letters", 0, 7), None, b"{", first.headers, Poison("two"), timestamp_ms=2, group="b"
    )
    assert again.headers[: len(first.headers)] == first.headers
    assert [value for name, value in again.headers if name == "dlq.error.message"] == [b"one", b"two"]
