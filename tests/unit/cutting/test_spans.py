"""Spans of tasks hang where their cause does, whichever process writes them."""

from stream_app.cutting.phases import Phases
from stream_app.cutting.spans import task_span
from tests.unit.domain.test_attempts import first_task
from topics.ids import derived_id, span_id_of
from topics.reasons import FallbackReason
from topics.tasks import ClipTask, PastAttempt

REQUEST = "mix-requests/3/17"


def task(candidate_index: int, attempt: int, *past: int) -> ClipTask:
    """A try at a candidate, after tries at the candidates `past`."""
    return first_task(
        *("a", "b", "c"),
        clip_task_id="clip",
        event_id=derived_id("clip-task", "clip", candidate_index, attempt),
        caused_by="clip-tasks/0/9" if past else REQUEST,
        candidate_index=candidate_index,
        attempt=attempt,
        attempts=tuple(
            PastAttempt(video_id="v", candidate_index=each, reason=FallbackReason.CDN_ERROR, error="e")
            for each in past
        ),
    )


def test_a_first_task_hangs_below_the_plan_and_each_further_try_below_the_one_before() -> None:
    plan = span_id_of(derived_id("mix-accepted", REQUEST))
    first, retry, second_retry = task(0, 1), task(0, 2, 0), task(0, 3, 0, 0)
    other, its_retry = task(1, 1, 0, 0, 0), task(1, 2, 0, 0, 0, 1)
    chain = [task_span(each, 0) for each in (first, retry, second_retry, other, its_retry)]
    assert [span.parent_id for span in chain] == [plan, *(span.span_id for span in chain[:-1])]
    assert len({span.span_id for span in chain}) == 5


def test_phases_follow_each_other_without_gaps() -> None:
    now = 1_000
    phases = Phases(lambda: now)
    phases.begin("fetch")
    now = 1_200
    phases.begin("cut")
    now = 1_700
    phases.begin("store", ago_ms=50)
    told = [(phase.name, phase.start_ms, phase.end_ms) for phase in phases.until(1_710)]
    assert told == [("fetch", 1_000, 1_200), ("cut", 1_200, 1_650), ("store", 1_650, 1_710)]
    assert phases.durations_ms(1_710) == {"fetch_ms": 200, "cut_ms": 450, "store_ms": 60}


def test_a_phase_never_begins_before_the_one_before_it() -> None:
    phases = Phases(lambda: 1_000)
    phases.begin("cut")
    phases.begin("store", ago_ms=400)
    assert [(phase.start_ms, phase.end_ms) for phase in phases.until(900)] == [(1_000, 1_000), (1_000, 1_000)]


def test_work_that_is_done_twice_is_counted_together() -> None:
    now = 0
    phases = Phases(lambda: now)
    for now in (0, 10, 30):
        phases.begin("fetch" if now != 10 else "cut")
    assert phases.durations_ms(100) == {"fetch_ms": 80, "cut_ms": 20}
