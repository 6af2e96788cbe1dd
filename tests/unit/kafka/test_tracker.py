from hypothesis import given
from hypothesis import strategies as st

from stream_app.kafka.tracker import OffsetTracker


def test_the_head_holds_the_commit_back() -> None:
    tracker = OffsetTracker()
    for offset in (10, 11, 12):
        assert tracker.deliver(offset)
    tracker.finish(11)
    tracker.finish(12)
    assert tracker.take_committable() is None
    tracker.finish(10)
    assert tracker.take_committable() == 13
    assert tracker.take_committable() is None


def test_gaps_between_offsets_are_no_unfinished_records() -> None:
    tracker = OffsetTracker()
    for offset in (3, 40):
        tracker.deliver(offset)
    tracker.finish(3)
    assert tracker.take_committable() == 4
    tracker.finish(40)
    assert tracker.take_committable() == 41


def test_a_record_is_delivered_once() -> None:
    tracker = OffsetTracker()
    assert tracker.deliver(5)
    assert not tracker.deliver(5)
    assert not tracker.deliver(4)
    assert tracker.in_flight == 1


@given(
    offsets=st.lists(st.integers(0, 10_000), min_size=1, max_size=50, unique=True).map(sorted),
    data=st.data(),
)
def test_nothing_unfinished_is_ever_committed_past(offsets: list[int], data: st.DataObject) -> None:
    tracker = OffsetTracker()
    for offset in offsets:
        tracker.deliver(offset)
    unfinished = set(offsets)
    committed = 0
    for offset in data.draw(st.permutations(offsets)):
        tracker.finish(offset)
        unfinished.discard(offset)
        committed = tracker.take_committable() or committed
        assert all(committed <= left for left in unfinished)
    assert committed == offsets[-1] + 1
    assert tracker.in_flight == 0
