from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.mix import Mix
from stream_app.domain.roll_up import roll_up
from tests.unit.domain.events import COMMON, accepted, completed, failed, placeholder, rendered
from topics.events import AnyMixEvent, MixCancelled, MixFailed
from topics.reasons import FallbackReason, MixFailure


def told(*events: AnyMixEvent) -> Mix:
    mix = Mix()
    for event in events:
        mix.apply(event)
    return mix


def test_a_mix_is_ready_when_every_line_has_its_outcome() -> None:
    assert not told(accepted("a", "b"), completed("a")).is_ready
    assert told(accepted("a", "b"), completed("a"), placeholder("b")).is_ready


def test_the_first_outcome_of_a_line_is_the_effective_one() -> None:
    mix = told(accepted("a"), placeholder("a"), completed("a"))
    (outcome,) = mix.effective_outcomes
    assert outcome.type == "clip-placeholder"
    assert mix.stats().placeholder_tasks == 1


def test_an_ended_mix_is_not_joined_again() -> None:
    mix = told(accepted("a"), completed("a"))
    mix.apply(rendered(mix.stats()))
    assert not mix.is_ready
    assert mix.end is not None
    mix.apply(MixFailed(**COMMON, reason=MixFailure.JOIN_FAILED, message=""))
    assert mix.end.type == "mix-rendered"


def test_a_revision_begins_anew_and_keeps_what_it_leaves_alone() -> None:
    mix = told(accepted("a", "b"), completed("a"), completed("b"))
    mix.apply(rendered(mix.stats()))
    mix.apply(accepted("a", "c", revision=2))
    assert mix.end is None
    assert not mix.is_ready
    mix.apply(rendered(mix.stats(), revision=1))
    assert mix.end is None, "a video of an older revision ends nothing"
    mix.apply(completed("c"))
    assert mix.is_ready
    assert mix.stats().total_clips == 2


def test_a_late_failure_of_an_older_revision_ends_nothing() -> None:
    def failed_of(revision: int | None) -> MixFailed:
        return MixFailed(**COMMON, revision=revision, reason=MixFailure.SONG_INVALID, message="")

    mix = told(accepted("a"), accepted("b", revision=2), failed_of(1))
    assert mix.end is None
    mix.apply(MixCancelled(**COMMON, revision=1, reason="requested", message=""))
    assert mix.end is None
    mix.apply(failed_of(2))
    assert mix.end is not None
    first_logs = told(accepted("a"), accepted("b", revision=2), failed_of(None))
    assert first_logs.end is not None, "they did not say which revision failed"


def test_lines_are_found_by_the_newest_plan() -> None:
    mix = told(accepted("a", "b"), completed("b"), accepted("c", "a", "b", revision=2))
    kept = mix.line_of("b")
    assert kept is not None
    assert kept.clip_index == 2
    assert [(line.clip_index, outcome.clip_task_id) for line, outcome in mix.effective_lines] == [(2, "b")]
    assert told(accepted("a"), accepted("b", revision=2)).line_of("a") is None


def test_a_duplicate_of_an_accepted_plan_changes_nothing() -> None:
    mix = told(accepted("a"), completed("a"))
    mix.apply(rendered(mix.stats()))
    mix.apply(accepted("a"))
    assert mix.end is not None


def test_a_cancelled_mix_has_ended() -> None:
    cancelled = MixCancelled(**COMMON, reason="requested", message="")
    assert told(cancelled).end is None, "nothing was accepted that could be cancelled"
    assert told(accepted("a"), cancelled).end is cancelled


def test_figures_of_a_mixed_story() -> None:
    mix = told(
        accepted("a", "b", "c", "d"),
        completed("a", 0, 100),
        failed("b", 0, 50, attempt=1),
        failed("b", 60, 100, attempt=2),
        completed("b", 100, 301, "w", candidate_index=1),
        placeholder("c"),
        failed("d", 300, 300),
        placeholder("d", FallbackReason.SOURCE_MISSING),
        completed("superseded", 0, 10_000),
    )
    assert mix.stats().model_dump(mode="json") == {
        "total_clips": 4,
        "completed_tasks": 2,
        "placeholder_tasks": 2,
        "failed_tasks": 1,
        "attempts": 5,
        "retries": 1,
        "peak_parallelism": 2,
        "avg_clip_duration_ms": 151,
        "p95_clip_duration_ms": 201,
        "fallback_reason_counts": {"no_candidates": 1, "source_missing": 1},
        "per_video": {
            "v": {"attempts": 4, "completed": 1, "failed": 3},
            "w": {"attempts": 1, "completed": 1, "failed": 0},
        },
        "config_versions": [3],
    }


def test_no_figures_without_attempts() -> None:
    stats = roll_up((), ())
    assert stats.avg_clip_duration_ms is None
    assert stats.p95_clip_duration_ms is None
    assert stats.peak_parallelism == 0


@given(durations=st.lists(st.integers(0, 10_000), min_size=1, max_size=60))
def test_p95_is_the_smallest_value_that_95_percent_do_not_exceed(durations: list[int]) -> None:
    stats = roll_up([completed(str(n), 0, value) for n, value in enumerate(durations)], ())
    p95 = stats.p95_clip_duration_ms
    assert p95 in durations
    assert p95 is not None
    assert sum(value <= p95 for value in durations) >= 0.95 * len(durations)
    assert all(
        sum(value <= other for value in durations) < 0.95 * len(durations)
        for other in durations
        if other < p95
    )


@given(spans=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=30))
def test_peak_parallelism_is_what_counting_every_moment_gives(spans: list[tuple[int, int]]) -> None:
    attempts = [completed(str(n), start, start + length) for n, (start, length) in enumerate(spans)]
    by_hand = max(
        (sum(start <= t < max(start + length, start + 1) for start, length in spans) for t in range(75)),
        default=0,
    )
    assert roll_up(attempts, ()).peak_parallelism == by_hand


EVENTS = [
    accepted("a", "b"),
    completed("a"),
    failed("b"),
    completed("b", 100, 200, candidate_index=1),
    rendered(roll_up((), ())),
]


@given(repeats=st.lists(st.integers(1, 3), min_size=len(EVENTS), max_size=len(EVENTS)))
def test_duplicates_on_the_wire_have_no_effect(repeats: list[int]) -> None:
    repeated = [event for event, times in zip(EVENTS, repeats, strict=True) for _ in range(times)]
    assert told(*repeated).stats() == told(*EVENTS).stats()
    assert told(*repeated, *EVENTS).end == told(*EVENTS).end
