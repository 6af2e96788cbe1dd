"""I1, I2 and I3: what the ledger and the log say of each other."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from findings import Findings
from log import Log, Record
from story import Story, kind, value

MIX_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

CAUSES = {
    "mix-accepted": ("mix-requests",),
    "mix-rejected": ("mix-requests",),
    "mix-cancelled": ("mix-requests",),
    "clip-attempt-failed": ("clip-tasks",),
    "clip-completed": ("clip-tasks",),
    "clip-placeholder": ("clip-tasks",),
    "mix-rendered": ("mix-events",),
    "mix-failed": ("mix-events",),
}


def check_ledger(
    findings: Findings, ledger: list[dict[str, Any]], log: Log, stories: dict[str, Story]
) -> None:
    """I1: what Kafka acknowledged is in the log, and has come to one end, which is the expected one."""
    for entry in ledger:
        ref, mix_id = entry["record"], entry["mix_id"]
        record = log.find(ref)
        there = record is not None and hashlib.sha256(record.raw or b"").hexdigest() == entry["sha256"]
        findings.check(
            "I1", "lost", ref, f"the acknowledged request of {mix_id} is not in Kafka", holds=there
        )
        story = stories.get(mix_id)
        end = story.end if story else None
        if not findings.check("I1", "lost", ref, f"{mix_id} has no end", holds=end is not None):
            continue
        assert story is not None
        assert end is not None
        if "expects" in entry:
            found = kind(end)
            findings.check(
                "I1",
                "wrong",
                end.ref,
                f"{mix_id} is {found}, not {entry['expects']}",
                holds=found == entry["expects"],
            )
        if entry.get("clean"):
            for outcome in story.outcomes.values():
                findings.check(
                    "I2",
                    "wrong",
                    outcome.ref,
                    f"a placeholder ({value(outcome).get('fallback_reason')}) although every source is good",
                    holds=kind(outcome) == "clip-completed",
                )


def check_stories(findings: Findings, stories: Iterable[Story], known: set[str]) -> None:
    """I1 and I2 for every mix in the log, whoever asked for it."""
    for story in stories:
        first = story.events[0]
        findings.check(
            "I3", "invented", first.ref, f"nobody asked for {story.mix_id}", holds=story.mix_id in known
        )
        homes = {(event.partition, event.key) for event in story.events}
        findings.check(
            "I2",
            "wrong",
            first.ref,
            f"events of {story.mix_id} lie in several places or under other keys: {sorted(map(str, homes))}",
            holds=homes == {(first.partition, story.mix_id.encode())},
        )
        kinds = {kind(end) for end in story.ends}
        findings.check(
            "I1",
            "wrong",
            first.ref,
            f"{story.mix_id} has ends of several kinds: {sorted(kinds)}",
            holds=len(kinds) <= 1,
        )
        if story.plan is None or story.end is None:
            continue
        for line in story.lines:
            outcome = story.outcomes.get(line["clip_task_id"])
            needed = story.is_rendered
            findings.check(
                "I2",
                "lost",
                story.plan.ref,
                f"line {line['line_id']} of {story.mix_id} has no outcome",
                holds=outcome is not None or not needed,
            )
            if outcome is not None and needed:
                findings.check(
                    "I2",
                    "wrong",
                    story.end.ref,
                    f"{story.mix_id} was rendered before the outcome {outcome.ref} of a line",
                    holds=outcome.offset < story.end.offset,
                )


def check_causes(findings: Findings, log: Log) -> None:
    """I3: every event and every task follows from a record that is there and fits, and lies before it."""
    planned: set[str] = set()
    for record in log.records["mix-events"]:
        if record.value is not None and kind(record) == "mix-accepted":
            planned |= {line["clip_task_id"] for line in value(record)["lines"]}
    identities: dict[str, tuple[Any, ...]] = {}
    for record in (*log.records["mix-events"], *log.records["clip-tasks"]):
        if not findings.check("I3", "invented", record.ref, "is no event", holds=record.value is not None):
            continue
        _check_cause(findings, log, record)
        told = value(record)
        task = told.get("clip_task_id")
        if task is not None:
            findings.check(
                "I3", "invented", record.ref, f"no plan has its task {task}", holds=task in planned
            )
        meaning = (told["type"], told["mix_id"], task, told.get("candidate_index"), told.get("attempt"))
        same = identities.setdefault(told["event_id"], meaning)
        findings.check(
            "I3",
            "wrong",
            record.ref,
            f"its id is that of another event: {same}, {meaning}",
            holds=same == meaning,
        )


def _check_cause(findings: Findings, log: Log, record: Record) -> None:
    told = value(record)
    named = str(told.get("caused_by"))
    cause = log.find(named)
    if not findings.check(
        "I3", "invented", record.ref, f"its cause {named} is not in the log", holds=cause is not None
    ):
        return
    assert cause is not None
    topics = CAUSES.get(told["type"], ("mix-requests", "clip-tasks"))
    mix_id = str((cause.value or {}).get("mix_id", ""))
    # A request without an id that can be one is known by its key, or gets an id that is minted.
    fits = cause.topic in topics and (mix_id == told["mix_id"] or not MIX_ID.fullmatch(mix_id))
    if told["type"].startswith("clip-") and cause.topic == "clip-tasks":
        fits = fits and value(cause)["clip_task_id"] == told["clip_task_id"]
    if cause.topic == record.topic and cause.partition == record.partition:
        fits = fits and cause.offset < record.offset
    findings.check("I3", "invented", record.ref, f"its cause {named} does not fit it", holds=fits)
