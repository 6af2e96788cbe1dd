"""`clip_stats` twice: as the tables tell it, and computed from raw events by a program that shares no code
with the fold: the verifier of tests/chaos, which follows the sentences of the contract."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

sys.path.insert(0, str(Path(__file__).parent / "chaos" / "verifier"))

from figures import figures_of, status_of
from log import Log, Record, read_log
from story import story_of

Told = dict[str, dict[str, Any]]
"""By mix: its status and its figures."""

__all__ = ["Record", "read_log", "told_by_events", "told_by_tables"]


def told_by_events(records: Log | Iterable[Record]) -> Told:
    """What the raw events say, in the order of the log. What has no event_id is no event of ours."""
    found = records.records["mix-events"] if isinstance(records, Log) else records
    events_of_ours = [record for record in found if record.value and "event_id" in record.value]
    mixes = Log({"mix-events": events_of_ours}, {}).by_mix()
    stories = (story_of(mix_id, events) for mix_id, events in mixes.items())
    return {
        story.mix_id: {"status": status_of(story), **figures_of(story)}
        for story in stories
        if story.plan or story.end
    }


def told_by_tables(con: DuckDBPyConnection) -> Told:
    """What `render_jobs` and `clip_stats` say."""
    cursor = con.execute("SELECT status, clip_stats.* FROM clip_stats JOIN render_jobs ON id = mix_id")
    names = [column[0] for column in cursor.description]
    rows = (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
    as_json = ("fallback_reason_counts", "per_video")
    return {row.pop("mix_id"): {**row, **{name: json.loads(row[name]) for name in as_json}} for row in rows}
