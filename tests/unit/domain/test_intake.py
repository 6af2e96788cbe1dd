from typing import Any

from stream_app.domain.intake import (
    REMOVAL_MARGIN_MS,
    Asked,
    Decision,
    Moment,
    decide,
    mix_id_of,
    needs_story,
)
from stream_app.domain.known import KnownMix, noted
from stream_app.domain.mix import Mix
from tests.unit.domain.events import completed
from tests.unit.domain.requests import candidate, line, request
from topics.events import MixAccepted, MixCancelled, MixFailed, MixRejected
from topics.ids import RecordRef
from topics.reasons import MixFailure

REF = RecordRef("mix-requests", 3, 42)
LATER = RecordRef("mix-requests", 3, 43)
MOMENT = Moment(config_version=7, log_end=500, now_ms=2000)


class Log:
    """The log of one mix, and what intake makes of it."""

    def __init__(self, *bodies: dict[str, Any]) -> None:
        self.known: KnownMix | None = None
        self.story = Mix()
        self.moment = MOMENT
        self._offset = MOMENT.log_end
        for number, body in enumerate(bodies):
            self.tell(*self.decided(body, RecordRef("mix-requests", 3, number)).events)

    def tell(self, *events: Any) -> None:
        for event in events:
            self.known = noted(self.known, event, self._offset)
            self.story.apply(event)
            self._offset += 1

    def decided(self, body: dict[str, Any], ref: RecordRef = REF, sent_ms: int = 1000) -> Decision:
        told = Asked(body, ref, sent_ms, mix_id_of(body, None, ref))
        story = self.story if needs_story(told, self.known) else None
        return decide(told, self.known, story, self.moment)

    def fail(self, at_ms: int = 0) -> None:
        assert self.story.accepted is not None
        common = {
            "event_id": "f",
            "mix_id": "m1",
            "trace_id": "0" * 31 + "1",
            "caused_by": "t/0/0",
            "at_ms": at_ms,
        }
        why = MixFailure.SONG_UNAVAILABLE
        self.tell(MixFailed(**common, revision=self.story.accepted.revision, reason=why, message=""))


def decided(body: dict[str, Any], ref: RecordRef = REF) -> Decision:
    return Log().decided(body, ref)


def accepted(decision: Decision) -> MixAccepted:
    (event,) = decision.events
    assert isinstance(event, MixAccepted)
    return event


def errors(decision: Decision) -> list[tuple[str, str]]:
    (event,) = decision.events
    assert isinstance(event, MixRejected)
    assert decision.tasks == ()
    return [(error.path, error.code) for error in event.errors]


def revise(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"type": "mix-revise", "mix_id": "m1", "lines": list(lines), **changes}


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
    assert Log(request()).decided(request(), LATER) == Decision("unchanged")


def test_a_redelivered_request_queues_its_missing_tasks_again() -> None:
    body = request(line(0, 1000, candidate()), line(1000, 2000, candidate()))
    log = Log()
    first = log.decided(body)
    log.tell(*first.events)
    assert log.decided(body) == Decision("unchanged", (), first.tasks)
    log.tell(completed(first.tasks[0].clip_task_id))
    assert log.decided(body) == Decision("unchanged", (), first.tasks[1:])
    log.fail()
    assert log.decided(body) == Decision("unchanged")


def test_other_content_under_the_same_id_is_rejected_and_changes_nothing() -> None:
    assert errors(Log(request(line(0, 1000))).decided(request(line(0, 2000)))) == [("/mix_id", "mix_exists")]


def test_a_deadline_counts_from_when_the_request_was_sent() -> None:
    decision = decided(request(deadline_ms=60_000))
    assert accepted(decision).deadline_at_ms == 61_000
    assert {task.deadline_at_ms for task in decision.tasks} == {61_000}
    assert accepted(decided(request())).deadline_at_ms is None


def test_a_mix_in_work_can_be_cancelled_and_no_other() -> None:
    body = {"type": "mix-cancel", "mix_id": "m1"}
    log = Log(request())
    (event,) = log.decided(body).events
    assert isinstance(event, MixCancelled)
    assert event.revision == 1
    log.fail()
    assert log.decided(body) == Decision("unchanged")
    assert errors(decided(body)) == [("/mix_id", "mix_unknown")]


A = line(0, 1000, candidate("a"))
B = line(1000, 2000, candidate("b"))
OTHER = line(1000, 2000, candidate("c"), line_id="2")


def test_a_revision_has_the_whole_plan_and_tasks_for_what_changed() -> None:
    log = Log(request(A, B))
    decision = log.decided(revise(OTHER))
    before, after = log.story.accepted, accepted(decision)
    assert before is not None
    assert (after.revision, after.total_clips, after.log_start) == (2, 2, before.log_start)
    assert after.lines[0] == before.lines[0]
    assert after.lines[1].clip_task_id != before.lines[1].clip_task_id
    (task,) = decision.tasks
    assert (task.line_id, task.key, task.revision) == ("2", "c", 2)


def test_new_lines_come_in_the_order_of_the_song() -> None:
    middle = line(1000, 2000, candidate("m"), line_id="bridge", text="la")
    log = Log(request(A, line(4000, 5000, candidate("b"))))
    plan = accepted(log.decided(revise(line(2500, 3000, line_id="x"), middle)))
    assert [(each.line_id, each.clip_index, each.start_ms) for each in plan.lines] == [
        ("1", 0, 0),
        ("bridge", 1, 1000),
        ("x", 2, 2500),
        ("2", 3, 4000),
    ]


def test_what_a_revision_does_not_name_stays() -> None:
    options = {
        "priority": 7,
        "profile": {"width": 640, "height": 360, "fps": "25"},
        "song": {"uri": "song.m4a", "offset_ms": -20},
        "gaps": {"policy": "black"},
        "subtitles": {"sidecar": ["srt"]},
    }
    log = Log(request(A, B, **options))
    kept = {"priority", "profile", "song", "gaps", "subtitles"}
    plan, before = accepted(log.decided(revise(OTHER))), log.story.accepted
    assert before is not None
    assert plan.model_dump(include=kept) == before.model_dump(include=kept)
    plan = accepted(log.decided(revise(song={"uri": "other.m4a"}, gaps={}, priority=2)))
    assert plan.song is not None
    assert (plan.song.uri, plan.song.offset_ms, plan.gaps.policy, plan.priority) == (
        "other.m4a",
        0,
        "extend",
        2,
    )


def test_what_waits_in_the_queue_is_not_sent_again_unless_it_is_more_urgent_now() -> None:
    log = Log(request(A, B))
    assert log.decided(revise(subtitles={"sidecar": ["srt"]})).tasks == ()
    assert {task.priority for task in log.decided(revise(priority=9)).tasks} == {9}
    assert len(log.decided(revise(priority=9)).tasks) == 2


def test_a_revision_of_an_ended_mix_asks_for_what_has_no_outcome() -> None:
    log = Log(request(A, B))
    assert log.story.accepted is not None
    log.tell(completed(log.story.accepted.lines[0].clip_task_id))
    log.tell(*log.decided({"type": "mix-cancel", "mix_id": "m1"}).events)
    (task,) = log.decided(revise(song={"uri": "other.m4a"}), LATER).tasks
    assert task.line_id == "2"


def test_a_revision_that_changes_nothing_is_none() -> None:
    log = Log(request(A, line(1000, 2000, candidate("b", score=0.5)), priority=6))
    same = line(1000, 2000, candidate("b", score=0.9), line_id="2", text="")
    assert log.decided(revise()) == Decision("unchanged")
    assert log.decided(revise(same, priority=6)) == Decision("unchanged")


def test_a_redelivered_revision_makes_no_second_one() -> None:
    log = Log(request(A, B))
    first = log.decided(revise(OTHER))
    log.tell(*first.events)
    again = log.decided(revise(OTHER))
    assert again.events == ()
    assert set(first.tasks) <= set(again.tasks)


def test_the_newest_content_counts() -> None:
    log = Log(request(A, B), revise(OTHER))
    now = {name: value for name, value in OTHER.items() if name != "line_id"}
    assert log.decided(request(A, now)) == Decision("unchanged")
    assert errors(log.decided(request(A, B))) == [("/mix_id", "mix_exists")]


def test_a_request_that_comes_again_after_a_revision_is_no_conflict() -> None:
    first = RecordRef("mix-requests", 3, 0)
    log = Log(request(A, B), revise(OTHER))
    assert log.decided(request(A, B), first).events == ()


def test_a_cancellation_that_comes_again_spares_the_revision_after_it() -> None:
    cancel = {"type": "mix-cancel", "mix_id": "m1"}
    log = Log(request(A, B), cancel, revise(OTHER))
    assert log.decided(cancel, RecordRef("mix-requests", 3, 1)).events == ()
    (event,) = log.decided(cancel).events
    assert isinstance(event, MixCancelled)
    assert event.revision == 2


def test_a_passed_deadline_does_not_hold_for_a_later_revision() -> None:
    log = Log(request(A, B, deadline_ms=60_000))
    assert accepted(log.decided(revise(OTHER), sent_ms=60_999)).deadline_at_ms == 61_000
    late = log.decided(revise(OTHER), sent_ms=61_000)
    assert accepted(late).deadline_at_ms is None
    assert {task.deadline_at_ms for task in late.tasks} == {None}


def test_a_revision_is_judged_as_a_whole_and_its_errors_point_into_itself() -> None:
    log = Log(request(A, B, line(5000, 6000), profile={"fps": "10"}))
    into_next = line(0, 1001, line_id="1")
    into_previous = line(5500, 7000, line_id="new")
    short = line(8000, 8001, line_id="short")
    assert errors(log.decided(revise(short, into_next, into_previous))) == [
        ("/lines/0", "line_too_short"),
        ("/lines/1/end_ms", "overlap"),
        ("/lines/2/start_ms", "overlap"),
    ]


def test_a_short_line_is_judged_by_the_mix_s_own_rate() -> None:
    fast = Log(request(A, profile={"fps": "120"}))
    assert len(accepted(fast.decided(revise(line(2000, 2009, line_id="2")))).lines) == 2


def test_a_revision_of_no_mix_is_rejected() -> None:
    assert errors(decided(revise(OTHER))) == [("/mix_id", "mix_unknown")]


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
    decision = decide(told, None, None, MOMENT)
    assert {decision.events[0].trace_id, *(task.trace_id for task in decision.tasks)} == {trace}


AGAIN = {"type": "mix-revise", "mix_id": "m1", "again": True}
KEPT_MS = 40 * 86_400_000


def ended(at_ms: int, clips_kept_ms: int | None = None) -> Log:
    log = Log(request())
    log.fail(at_ms)
    log.moment = Moment(7, 500, 2000, clips_kept_ms)
    return log


def test_the_same_again_is_a_revision_that_asks_for_every_clip_anew() -> None:
    log = ended(0)
    before = log.story.accepted
    again = log.decided(AGAIN, LATER)
    plan = accepted(again)
    assert before is not None
    assert (plan.revision, plan.asked_anew, plan.content_digest) == (2, 2, before.content_digest)
    assert {task.clip_task_id for task in again.tasks} == {line.clip_task_id for line in plan.lines}
    assert not {line.clip_task_id for line in plan.lines} & {line.clip_task_id for line in before.lines}
    log.tell(plan)
    urgent = accepted(log.decided({**AGAIN, "again": False, "priority": 9}, RecordRef("mix-requests", 3, 44)))
    assert (urgent.asked_anew, urgent.lines) == (2, plan.lines)


def test_a_revision_of_a_mix_whose_clips_may_be_gone_asks_for_them_anew() -> None:
    for sent_ms, asked_anew in [(KEPT_MS - REMOVAL_MARGIN_MS - 1, 1), (KEPT_MS - REMOVAL_MARGIN_MS, 2)]:
        log = ended(0, KEPT_MS)
        plan = accepted(log.decided({**AGAIN, "again": False, "priority": 9}, LATER, sent_ms))
        assert plan.asked_anew == asked_anew
