from typing import Any

from stream_app.domain.intake import Asked, Decision, KnownMix, decide, mix_id_of
from tests.unit.domain.requests import candidate, line, request
from topics.events import MixAccepted, MixCancelled, MixRejected
from topics.ids import RecordRef

REF = RecordRef("mix-requests", 3, 42)


def asked(body: dict[str, Any], ref: RecordRef = REF) -> Asked:
    return Asked(body, ref, submitted_at_ms=1000, mix_id=mix_id_of(body, None, ref))


def decided(body: dict[str, Any], known: KnownMix | None = None, ref: RecordRef = REF) -> Decision:
    return decide(asked(body, ref), known, config_version=7, now_ms=2000)


def known_of(decision: Decision, *, ended: bool = False) -> KnownMix:
    (event,) = decision.events
    assert isinstance(event, MixAccepted)
    return KnownMix(event.content_digest, event.caused_by, ended)


def test_a_new_mix_is_accepted_with_a_task_for_each_line() -> None:
    decision = decided(request(line(0, 1000, candidate("a"), candidate("b")), line(1000, 2000)))
    (event,) = decision.events
    assert isinstance(event, MixAccepted)
    assert (event.revision, event.total_clips, event.total_frames, event.config_version) == (1, 2, 60, 7)
    assert (event.submitted_at_ms, event.at_ms, event.caused_by) == (1000, 2000, "mix-requests/3/42")
    assert [task.key for task in decision.tasks] == ["a", event.lines[1].clip_task_id]
    assert {task.trace_id for task in decision.tasks} == {event.trace_id}


def test_a_redelivery_makes_the_same_events_and_tasks() -> None:
    body = request(line(0, 1000, candidate()))
    assert decided(body) == decided(body)
    elsewhere = decided(body, ref=RecordRef("mix-requests", 3, 43))
    assert elsewhere.events[0].event_id != decided(body).events[0].event_id


def test_the_same_mix_again_changes_nothing() -> None:
    body = request()
    known = known_of(decided(body))
    assert decided(body, known, RecordRef("mix-requests", 3, 99)) == Decision("unchanged")


def test_a_redelivered_request_queues_its_tasks_again_because_some_may_be_missing() -> None:
    body = request()
    first = decided(body)
    again = decided(body, known_of(first))
    assert again == Decision("unchanged", (), first.tasks)
    assert decided(body, known_of(first, ended=True)) == Decision("unchanged")


def test_other_content_under_the_same_id_is_rejected_and_changes_nothing() -> None:
    known = known_of(decided(request(line(0, 1000))))
    decision = decided(request(line(0, 2000)), known)
    (event,) = decision.events
    assert isinstance(event, MixRejected)
    assert [(error.path, error.code) for error in event.errors] == [("/mix_id", "mix_exists")]
    assert decision.tasks == ()


def test_a_mix_in_work_can_be_cancelled_and_no_other() -> None:
    body = {"type": "mix-cancel", "mix_id": "m1"}
    known = known_of(decided(request()))
    assert isinstance(decided(body, known).events[0], MixCancelled)
    assert decided(body, known_of(decided(request()), ended=True)) == Decision("unchanged")
    (unknown,) = decided(body).events
    assert isinstance(unknown, MixRejected)
    assert unknown.errors[0].code == "mix_unknown"


def test_what_is_not_built_is_said_and_not_ignored() -> None:
    (event,) = decided({"type": "mix-revise", "mix_id": "m1", "priority": 6}).events
    assert isinstance(event, MixRejected)
    assert event.errors[0].code == "not_supported"


def test_whose_word_names_the_mix() -> None:
    assert mix_id_of({"mix_id": "named"}, b"key", REF) == "named"
    assert mix_id_of({}, b"key", REF) == "key"
    assert mix_id_of({"mix_id": "Not An Id"}, b"key", REF) == "key"
    minted = mix_id_of({}, b"Not A Key!", REF)
    assert minted == mix_id_of({}, None, REF)
    assert minted != mix_id_of({}, None, RecordRef("mix-requests", 3, 43))
    assert minted.startswith("mix-")


def test_the_trace_of_the_request_is_kept() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    body = request()
    told = Asked(body, REF, 1000, "m1", f"00-{trace}-b7ad6b7169203331-01")
    decision = decide(told, None, config_version=-1, now_ms=2000)
    assert {decision.events[0].trace_id, *(task.trace_id for task in decision.tasks)} == {trace}
