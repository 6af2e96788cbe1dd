"""What the private file tells of a mix at any moment: rolled up, only folded, or both."""

from itertools import count

from projections.store import Store
from projections.story import turning_points
from stream_app.kafka.record import Record
from tests.unit.domain.events import COMMON, accepted
from topics.codec import encode
from topics.events import FieldError, MixCancelled, MixEvent, MixRejected
from topics.ids import RecordRef

CANCELLED = MixCancelled(**COMMON, revision=1, reason="requested", message="so it was")
WRONG = FieldError(path="/lines", code="missing", message="there are none")


def rejected(cause: str) -> MixRejected:
    return MixRejected(**{**COMMON, "caused_by": cause}, submitted_at_ms=0, errors=(WRONG,))


def records(*events: MixEvent) -> list[Record]:
    offsets = count()
    return [
        Record(RecordRef("mix-events", 0, next(offsets)), 1, event.mix_id.encode(), encode(event), [])
        for event in events
    ]


def test_it_is_the_same_wherever_the_roll_up_stands(store: Store) -> None:
    history = records(
        rejected("mix-requests/0/1"),
        accepted("a", "b"),
        rejected("mix-requests/0/3"),
        CANCELLED,
        accepted("a", "c", revision=2),
    )
    for number in range(len(history)):
        store.fold(history[number : number + 1])
        if number % 2:
            store.roll_up()
        story = turning_points(store.con, "m1")
        expected = {1: None, 2: 1, 3: 1, 4: 1, 5: 2}[number + 1]
        assert (story.mix.accepted.revision if story.mix.accepted else None) == expected
        assert (story.mix.end is not None) == (number == 3)
    assert list(story.rejected) == ["mix-requests/0/1", "mix-requests/0/3"]
    assert story.rejected["mix-requests/0/1"].errors == (WRONG,)


def test_other_mixes_and_what_cannot_be_read_are_passed_over(store: Store) -> None:
    good = records(accepted("a"))
    other = accepted("b", revision=9).model_copy(update={"mix_id": "m2"})
    bad = [b"not json", b'{"type": "mix-accepted", "mix_id": "m1"}', None, encode(other)]
    more = [
        Record(RecordRef("mix-events", 0, offset), 1, b"m1" if offset < 4 else b"m2", value, [])
        for offset, value in enumerate(bad, start=1)
    ]
    store.fold(good + more)
    for _ in range(2):
        accepted_now = turning_points(store.con, "m1").mix.accepted
        assert accepted_now is not None
        assert accepted_now.revision == 1
        store.roll_up()
    assert turning_points(store.con, "m3").mix.accepted is None
