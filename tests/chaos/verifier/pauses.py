"""I6: the longest time in which work was there, nothing hindered it, and nothing happened."""

from bisect import bisect_left
from typing import Any

from findings import Findings
from log import Log, Record
from story import Story


def check_pauses(
    findings: Findings,
    ledger: list[dict[str, Any]],
    log: Log,
    stories: dict[str, Story],
    *,
    faults: list[dict[str, Any]],
    limit_ms: int,
) -> int:
    """The longest pause, in ms.

    It is counted between one event of the log and the next, from when a mix that had no end yet was
    acknowledged, and from when the last fault before the next event was over: nothing can go on while all
    of Kafka is down. Of a pause that ends while a fault lasts, only what was before the fault counts.
    """
    waiting = [(entry["at_ms"], _ended(stories.get(entry["mix_id"])), entry["mix_id"]) for entry in ledger]
    events = sorted(log.records["mix-events"], key=lambda record: record.timestamp_ms)
    over = sorted(int(fault["until_ms"]) for fault in faults)
    longest, at = 0, "-"
    for before, event in zip([None, *events], events, strict=False):
        now = event.timestamp_ms
        since = [asked for asked, ended, _ in waiting if asked < now <= ended]
        if not since:
            continue
        begun = max(min(since), before.timestamp_ms if before else 0, _last(over, now))
        pause = min([now, *_still_on(faults, now)]) - begun
        if pause > longest:
            longest, at = pause, event.ref
    findings.check(
        "I6",
        "wrong",
        at,
        f"nothing had happened for {longest} ms before it; {limit_ms} ms is the limit",
        holds=longest <= limit_ms,
    )
    return longest


def _still_on(faults: list[dict[str, Any]], now: int) -> list[int]:
    """When the faults began that were not over at that moment."""
    return [int(fault["from_ms"]) for fault in faults if fault["from_ms"] <= now <= fault["until_ms"]]


def _ended(story: Story | None) -> float:
    end: Record | None = story.end if story else None
    return end.timestamp_ms if end else float("inf")


def _last(moments: list[int], before: int) -> int:
    found = bisect_left(moments, before)
    return moments[found - 1] if found else 0
