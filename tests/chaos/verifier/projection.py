"""I4: the snapshot says of every mix what its events say."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from figures import figures_of, status_of
from findings import Findings
from log import Log
from story import Story, kind, value

PROJECTED = ("mix-events", "render-config")


def check_snapshot(findings: Findings, snapshot: Path, log: Log, stories: dict[str, Story]) -> None:
    if not findings.check("I4", "lost", str(snapshot), "there is no snapshot", holds=snapshot.exists()):
        return
    with duckdb.connect(str(snapshot), read_only=True) as con:
        _check_events(findings, con, log)
        jobs = _rows(con, "render_jobs", "id")
        stats = _rows(con, "clip_stats", "mix_id")
        clips = {(row["mix_id"], row["clip_task_id"]): row for row in _all(con, "clips")}
    for mix_id in jobs.keys() - stories.keys():
        findings.check("I4", "invented", f"render_jobs {mix_id}", "no event is about it", holds=False)
    for mix_id, story in stories.items():
        first = story.events[0].ref
        if not findings.check("I4", "lost", first, f"render_jobs lacks {mix_id}", holds=mix_id in jobs):
            continue
        _check_job(findings, story, jobs[mix_id])
        _check_stats(findings, story, stats.get(mix_id, {}), jobs[mix_id])
        _check_clips(findings, story, clips)


def _check_events(findings: Findings, con: duckdb.DuckDBPyConnection, log: Log) -> None:
    """Every record exactly once, and as far as the log goes."""
    rows = con.execute(
        "SELECT topic, kafka_partition, kafka_offset, count(*) FROM events GROUP BY ALL"
    ).fetchall()
    seen = {f"{topic}/{partition}/{offset}": count for topic, partition, offset, count in rows}
    there = {record.ref for topic in PROJECTED for record in log.records[topic]}
    for ref in sorted(there):
        times = seen.get(ref, 0)
        findings.check(
            "I4", "lost" if not times else "wrong", ref, f"is {times} times in events", holds=times == 1
        )
    for ref in sorted(seen.keys() - there):
        # A compacted topic forgets what was folded before.
        findings.check("I4", "invented", ref, "is in events only", holds=ref.startswith("render-config/"))
    for topic, partition, position in con.execute(
        "SELECT topic, kafka_partition, next_offset FROM snapshot_info"
    ).fetchall():
        end = log.ends.get((topic, partition))
        findings.check(
            "I4",
            "lost",
            f"{topic}/{partition}/{position}",
            f"the snapshot ends here, the log at {end}",
            holds=end is None or position >= end or not _records_since(log, topic, partition, position),
        )


def _records_since(log: Log, topic: str, partition: int, position: int) -> bool:
    return any(
        record.partition == partition and record.offset >= position for record in log.records.get(topic, [])
    )


def _check_job(findings: Findings, story: Story, row: dict[str, Any]) -> None:
    expected: dict[str, Any] = {"status": status_of(story)}
    if story.end is not None:
        end = value(story.end)
        expected["finished_at"] = datetime.fromtimestamp(end["at_ms"] / 1000, UTC).replace(tzinfo=None)
        if kind(story.end) == "mix-rendered":
            expected |= {
                "output_uri": end["uri"],
                "output_sha256": end["sha256"],
                "output_frames": end["frames"],
            }
    _compare(findings, story, f"render_jobs of {story.mix_id}", expected, row)


def _check_stats(findings: Findings, story: Story, row: dict[str, Any], job: dict[str, Any]) -> None:
    expected = figures_of(story)
    columns = {
        **row,
        **{name: json.loads(row[name]) for name in ("fallback_reason_counts", "per_video") if name in row},
    }
    _compare(findings, story, f"clip_stats of {story.mix_id}", expected, columns)
    in_job = json.loads(job["metrics"])["render"]["clip_stats"]
    _compare(findings, story, f"render_jobs.metrics of {story.mix_id}", expected, in_job)
    if story.end is not None and story.is_rendered:
        told = value(story.end)["clip_stats"]
        cause = int(value(story.end)["caused_by"].rpartition("/")[2])
        _compare(findings, story, f"clip_stats in {story.end.ref}", figures_of(story, cause + 1), told)


def _check_clips(findings: Findings, story: Story, clips: dict[tuple[str, str], dict[str, Any]]) -> None:
    for line in story.lines:
        outcome = story.outcomes.get(line["clip_task_id"])
        told = value(outcome) if outcome else {}
        expected = {
            "outcome": kind(outcome).removeprefix("clip-") if outcome else None,
            "sha256": told.get("sha256"),
            "uri": told.get("uri"),
            "worker": told.get("worker"),
        }
        row = clips.get((story.mix_id, line["clip_task_id"]), {})
        _compare(findings, story, f"clips of {story.mix_id}, line {line['line_id']}", expected, row)


def _compare(
    findings: Findings, story: Story, what: str, expected: dict[str, Any], row: dict[str, Any]
) -> None:
    for name, wanted in expected.items():
        found = row.get(name)
        record = (story.end or story.events[-1]).ref
        findings.check(
            "I4", "wrong", record, f"{what}: {name} is {found!r}, not {wanted!r}", holds=found == wanted
        )


def _rows(con: duckdb.DuckDBPyConnection, table: str, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in _all(con, table)}


def _all(con: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    cursor = con.execute(f"FROM {table}")
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
