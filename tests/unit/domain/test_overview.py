from stream_app.domain.mix import Mix
from stream_app.domain.overview import MINUTE_MS, SLOT_SEEN_MS, Overview
from tests.unit.domain.events import COMMON, accepted, completed, failed, placeholder, rendered
from topics.events import AnyMixEvent, MixRejected

STATS = Mix().stats()


def told(*events: AnyMixEvent) -> Overview:
    overview = Overview()
    for event in events:
        overview.apply(event)
    return overview


def test_a_mix_in_work_and_then_its_end() -> None:
    overview = told(accepted("a", "b", "c"))
    (waiting,) = overview.mixes(500)
    assert (waiting.state, waiting.done, waiting.lines, waiting.remaining_ms) == ("waiting", 0, 3, None)
    overview.apply(completed("a", at_ms=1_000))
    overview.apply(placeholder("b"))
    (cutting,) = overview.mixes(2_000)
    assert (cutting.state, cutting.done, cutting.placeholders) == ("cutting", 2, 1)
    assert (cutting.elapsed_ms, cutting.remaining_ms) == (2_000, 1_000)
    overview.apply(completed("c", at_ms=3_000))
    assert [mix.state for mix in overview.mixes(3_000)] == ["joining"]
    overview.apply(rendered(STATS))
    assert overview.mixes(4_000) == []
    assert [(each.mix_id, each.status) for each in overview.ended()] == [("m1", "rendered")]


def test_of_a_mix_that_was_accepted_before_only_the_end_is_told_once() -> None:
    overview = told(completed("a"))
    assert (overview.mixes(0), overview.ended()) == ([], [])
    for _ in range(2):
        overview.apply(rendered(STATS))
    assert [each.status for each in overview.ended()] == ["rendered"]


def test_the_newest_ends_are_kept() -> None:
    # In the order of partitions, which is none of time.
    ends = [
        rendered(STATS).model_copy(update={"mix_id": f"m{number}", "at_ms": number})
        for number in (8, 0, 3, 1, 7, 2, 5, 4, 6)
    ]
    assert [each.mix_id for each in told(*ends).ended()] == ["m8", "m7", "m6", "m5", "m4"]


def test_a_revision_of_an_ended_mix_needs_its_story() -> None:
    overview = told(accepted("a", "b"), completed("a"), completed("b"), rendered(STATS))
    revision = accepted("a", "c", revision=2)
    assert overview.lacks_story_of(revision)
    earlier = Mix()
    for event in (accepted("a", "b"), completed("a"), completed("b"), rendered(STATS)):
        earlier.apply(event)
    overview.put("m1", earlier)
    assert not overview.lacks_story_of(revision)
    overview.apply(revision)
    (mix,) = overview.mixes(0)
    assert (mix.revision, mix.done, mix.lines) == (2, 1, 2)


def test_a_rejection_of_an_unknown_mix_is_an_end() -> None:
    overview = told(MixRejected(**COMMON, submitted_at_ms=0, errors=()))
    assert [each.status for each in overview.ended()] == ["rejected"]


def test_workers_by_what_they_did_lately() -> None:
    now = 10 * MINUTE_MS
    overview = told(
        accepted("a"),
        completed("old", finished=now - 2 * MINUTE_MS, worker="gone", at_ms=now - 2 * MINUTE_MS),
        completed("x", finished=now - SLOT_SEEN_MS - 1, parallel_slot=3, worker="w", at_ms=now - 11_000),
        completed("a", finished=now - 500, parallel_slot=0, worker="w", at_ms=now - 500),
        failed("b", finished=now - 400, parallel_slot=1, worker="w", at_ms=now - 400),
        failed("b", finished=now - 300, parallel_slot=1, worker="w", at_ms=now - 300),
    )
    (worker,) = overview.workers(now)
    assert (worker.worker, worker.slots_used, worker.attempts, worker.failures) == ("w", 2, 4, 2)
    assert worker.last_event_at_ms == now - 300
    assert list(overview.workers(now + 2 * MINUTE_MS)) == []
