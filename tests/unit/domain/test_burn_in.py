"""Lyrics drawn into the picture are part of what is to be cut."""

from typing import Any

from stream_app.domain.plan import Plan, plan_mix
from stream_app.domain.validate import validate_request
from tests.unit.domain.requests import candidate, line, request
from tests.unit.domain.test_intake import decided
from topics.requests import MixRequest

BURNT = {"burn_in": True}


def planned(text: str, **subtitles: Any) -> Plan:
    body = request(line(0, 1000, candidate(), text=text), subtitles=subtitles)
    command = validate_request(body)
    assert isinstance(command, MixRequest), command
    return plan_mix(command, "m1")


def task_id(text: str, **subtitles: Any) -> str:
    return planned(text, **subtitles).lines[0].clip_task_id


def test_a_clip_has_another_id_when_other_text_is_drawn_into_it() -> None:
    assert task_id("la", **BURNT) == task_id("la", **BURNT)
    assert len({task_id("la", **BURNT), task_id("lu", **BURNT), task_id("la")}) == 3


def test_text_that_is_not_drawn_is_no_part_of_the_id() -> None:
    assert task_id("la") == task_id("lu")
    assert task_id(" \n", **BURNT) == task_id("", **BURNT) == task_id("")


def test_tasks_carry_the_text_to_draw() -> None:
    lines = [
        line(0, 1000, candidate(), text="la"),
        line(1000, 2000, candidate(), text=" "),
        line(2000, 3000, text="lu"),
    ]
    drawn = decided(request(*lines, subtitles=BURNT))
    assert [task.overlay_text for task in drawn.tasks] == ["la", None, "lu"]
    plain = decided(request(*lines))
    assert [task.overlay_text for task in plain.tasks] == [None, None, None]
