"""What a mix's own events make of it, by the rules of the contract alone."""

from dataclasses import dataclass, field
from typing import Any

from log import Record

ENDS = ("mix-rendered", "mix-failed", "mix-cancelled")
OUTCOMES = ("clip-completed", "clip-placeholder")
ATTEMPTS = ("clip-completed", "clip-attempt-failed")


@dataclass(frozen=True)
class Story:
    """One mix.

    Attributes:
        plan: the first mix-accepted of the newest revision.
        end: the first end of that revision after it; of a mix that was never accepted, its rejection.
        ends: all that say they end that revision.
        outcomes: the first outcome of each line of the plan, by clip_task_id.
        tried: the first event of each attempt at those lines.
    """

    mix_id: str
    events: list[Record]
    plan: Record | None = None
    end: Record | None = None
    ends: list[Record] = field(default_factory=list)
    outcomes: dict[str, Record] = field(default_factory=dict)
    tried: list[Record] = field(default_factory=list)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return value(self.plan)["lines"] if self.plan else []

    @property
    def is_rendered(self) -> bool:
        return self.end is not None and kind(self.end) == "mix-rendered"


def kind(record: Record) -> str:
    return str(value(record).get("type"))


def value(record: Record | None) -> dict[str, Any]:
    assert record is not None
    assert record.value is not None
    return record.value


def story_of(mix_id: str, events: list[Record]) -> Story:
    """The events are those of one partition, in its order."""
    plans = [event for event in events if kind(event) == "mix-accepted"]
    if not plans:
        rejections = [event for event in events if kind(event) == "mix-rejected"]
        return Story(mix_id, events, end=rejections[0] if rejections else None, ends=rejections)
    newest = max(value(plan)["revision"] for plan in plans)
    plan = next(plan for plan in plans if value(plan)["revision"] == newest)
    ends = [
        event
        for event in events
        if kind(event) in ENDS
        and event.offset > plan.offset
        and value(event).get("revision") in (None, newest)
    ]
    planned = {line["clip_task_id"] for line in value(plan)["lines"]}
    of_lines = [event for event in events if value(event).get("clip_task_id") in planned]
    return Story(
        mix_id, events, plan, ends[0] if ends else None, ends, outcomes_in(of_lines), tried_in(of_lines)
    )


def outcomes_in(events: list[Record]) -> dict[str, Record]:
    first: dict[str, Record] = {}
    for event in events:
        if kind(event) in OUTCOMES:
            first.setdefault(value(event)["clip_task_id"], event)
    return first


def tried_in(events: list[Record]) -> list[Record]:
    first: dict[tuple[Any, ...], Record] = {}
    for event in events:
        if kind(event) in ATTEMPTS:
            told = value(event)
            first.setdefault((told["clip_task_id"], told["candidate_index"], told["attempt"]), event)
    return list(first.values())
