import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.frames import duration_ms, frame_at, round_half_up
from stream_app.domain.plan import Plan, content_digest, plan_mix, timeline
from stream_app.domain.validate import validate_request
from tests.unit.domain.requests import candidate, line, request
from topics.requests import MixRequest

RATES = ["24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60"]


def plan_of(**body: Any) -> Plan:
    command = validate_request(body)
    assert isinstance(command, MixRequest), command
    return plan_mix(command, "m1")


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Any number of lines with any gaps, none shorter than a frame of the slowest rate."""
    spans = draw(st.lists(st.tuples(st.integers(0, 9000), st.integers(42, 9000)), min_size=1, max_size=60))
    lines, clock = [], 0
    for gap_ms, length_ms in spans:
        lines.append(line(clock + gap_ms, clock + gap_ms + length_ms))
        clock += gap_ms + length_ms
    gaps = {
        "policy": draw(st.sampled_from(["extend", "black"])),
        "max_extend_ms": draw(st.integers(0, 5000)),
    }
    return request(*lines, profile={"fps": draw(st.sampled_from(RATES))}, gaps=gaps)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("1/2", 1), ("3/2", 2), ("-1/2", 0), ("-3/2", -1), ("49/100", 0), ("7", 7), ("-51/100", -1)],
)
def test_a_half_goes_up(value: str, rounded: int) -> None:
    assert round_half_up(Fraction(value)) == rounded


@given(body=bodies())
def test_lines_and_fillers_sum_to_the_whole_without_holes_or_overlaps(body: dict[str, Any]) -> None:
    plan = plan_of(**body)
    video_frames = plan.total_frames + 17
    spans = list(timeline(plan.lines, video_frames))
    assert sum(span.frames for span in spans) == video_frames
    assert spans[0].start_frame == 0
    for before, after in itertools.pairwise(spans):
        assert before.start_frame + before.frames == after.start_frame
    assert all(span.frames > 0 for span in spans)


@given(body=bodies())
def test_no_line_is_off_by_more_than_half_a_frame(body: dict[str, Any]) -> None:
    rate = Fraction(body["profile"]["fps"])
    half_a_frame_ms = 500 / rate
    for planned in plan_of(**body).lines:
        start_ms = planned.start_frame * 1000 / rate
        end_ms = (planned.start_frame + planned.frames) * 1000 / rate
        assert abs(start_ms - planned.start_ms) <= half_a_frame_ms
        assert abs(end_ms - planned.end_ms) <= half_a_frame_ms


@given(body=bodies())
def test_an_extension_stays_in_its_gap_and_its_limit(body: dict[str, Any]) -> None:
    rate = Fraction(body["profile"]["fps"])
    lines = plan_of(**body).lines
    assert lines[-1].extend_frames == 0
    for planned, following in itertools.pairwise(lines):
        end = planned.start_frame + planned.clip_frames
        assert end <= following.start_frame
        if body["gaps"]["policy"] == "black":
            assert planned.extend_frames == 0
        else:
            limit = frame_at(planned.end_ms + body["gaps"]["max_extend_ms"], rate)
            assert end == max(planned.start_frame + planned.frames, min(following.start_frame, limit))


def test_a_long_song_at_29_97_ends_where_it_should() -> None:
    lines = [line(index * 1001, (index + 1) * 1001) for index in range(10_000)]
    plan = plan_of(**request(*lines, profile={"fps": "30000/1001"}))
    assert plan.total_frames == 300_000
    assert duration_ms(plan.total_frames, Fraction(30000, 1001)) == 10_010_000


def test_intro_gap_and_outro_are_black_when_asked() -> None:
    plan = plan_of(**request(line(1000, 2000), line(3000, 4000), gaps={"policy": "black"}))
    spans = [(s.start_frame, s.frames, s.line and s.line.line_id) for s in timeline(plan.lines, 150)]
    assert spans == [(0, 30, None), (30, 30, "1"), (60, 30, None), (90, 30, "2"), (120, 30, None)]


def test_a_gap_beyond_the_limit_is_extension_and_then_black() -> None:
    plan = plan_of(**request(line(0, 1000), line(10_000, 11_000), gaps={"max_extend_ms": 4000}))
    assert [(p.frames, p.extend_frames) for p in plan.lines] == [(30, 120), (30, 0)]
    assert [(s.frames, s.line is None) for s in timeline(plan.lines, 330)] == [
        (150, False),
        (150, True),
        (30, False),
    ]


def test_a_task_is_named_by_what_is_to_be_cut() -> None:
    before = plan_of(**request(line(0, 1000, candidate("a")), line(1000, 2000, candidate("b"))))
    same = plan_of(**request(line(0, 1000, candidate("a")), line(1000, 2000, candidate("b"))))
    other = plan_of(**request(line(0, 1000, candidate("a")), line(1000, 2000, candidate("c"))))
    assert [p.clip_task_id for p in same.lines] == [p.clip_task_id for p in before.lines]
    assert other.lines[0].clip_task_id == before.lines[0].clip_task_id
    assert other.lines[1].clip_task_id != before.lines[1].clip_task_id


def test_scores_do_not_reach_the_plan_because_events_hold_no_floats() -> None:
    plan = plan_of(**request(line(0, 1000, candidate(score=0.83, rank=1))))
    assert plan.lines[0].candidates[0].score is None
    assert plan.lines[0].candidates[0].rank == 1


def test_content_is_compared_after_defaults() -> None:
    bare, spelled = (
        validate_request(body)
        for body in (
            request(line(0, 1000)),
            request(line(0, 1000, line_id="1", text=""), mix_id="m2", priority=5, profile={"fps": "30"}),
        )
    )
    changed = validate_request(request(line(0, 1001)))
    assert isinstance(bare, MixRequest)
    assert isinstance(spelled, MixRequest)
    assert isinstance(changed, MixRequest)
    assert content_digest(bare) == content_digest(spelled) != content_digest(changed)
