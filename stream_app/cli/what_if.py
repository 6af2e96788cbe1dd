"""`clipfold what-if`: past mixes under other limits."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer

from projections.query import run_sql
from stream_app.cli.exits import exit_codes
from stream_app.cli.output import AsJson, note, print_json, print_table
from stream_app.cli.requests import checked
from stream_app.domain.errors import UsageError
from stream_app.domain.what_if import Limits, Outcome, PastMix, Tried, replay
from stream_app.settings import Settings
from topics.config import RenderClipConfig

TOLERANCE_PERCENT = 5
"""A replay under what was in force that is further off than this says nothing of anything else."""

DEFAULT_PRIORITY = 5
MAX_ROWS = 1_000_000
JITTER_PERCENT = 125
"""A wait before a retry is longer than its backoff by a quarter at most."""

Row = dict[str, Any]

_MIXES = """
WITH ended AS (
    SELECT id, epoch_ms(submitted_at) AS submitted_at_ms, epoch_ms(finished_at) AS finished_at_ms
    FROM render_jobs WHERE status IN ('rendered', 'failed', 'cancelled')
), asked AS (SELECT * FROM ended WHERE id = '{mix}')
SELECT ended.*, (
    SELECT max((value ->> '$.priority')::BIGINT) FROM events
    WHERE events.mix_id = ended.id AND events.type = 'mix-accepted'
) AS priority
FROM ended
WHERE EXISTS (
    FROM asked
    WHERE asked.submitted_at_ms <= ended.finished_at_ms AND ended.submitted_at_ms <= asked.finished_at_ms
)
ORDER BY submitted_at_ms, id
"""
"""The one that is asked about, and those that were cut at the same time: they had slots, too.

Ids of mixes have no character that means anything in SQL.
"""

_ATTEMPTS = """
SELECT mix_id, clip_task_id, video_id, candidate_index, attempt, worker, parallel_slot, config_version,
    epoch_ms(started_at) AS started_at_ms, epoch_ms(attempts.finished_at) AS finished_at_ms
FROM attempts JOIN render_jobs ON render_jobs.id = attempts.mix_id
WHERE effective AND started_at >= submitted_at AND mix_id IN ({mixes})
ORDER BY mix_id, clip_task_id, started_at
"""

_CONFIGS = "SELECT config_version, config::VARCHAR AS config FROM config_history WHERE valid"


def what_if(
    mixes: Annotated[list[str], typer.Argument(metavar="MIX...", help="Mixes that have ended.")],
    *,
    max_parallelism: Annotated[
        int | None, typer.Option(min=1, max=64, help="Slots of each worker. Default: as it was.")
    ] = None,
    per_video_limit: Annotated[
        int | None, typer.Option(min=1, max=64, help="Attempts at one video at a time. Default: as it was.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Workers. Default: as it was.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how long past mixes would have taken under other limits, by the scheduler that workers run."""
    with exit_codes():
        snapshot = Settings().snapshot_path
        told = []
        for mix in map(checked, mixes):
            past, recorded = _recorded(snapshot, mix)
            wanted = Limits(
                max_parallelism or recorded.max_parallelism,
                per_video_limit or recorded.per_video_limit,
                workers,
            )
            told.append(_told(mix, past, replay(past, recorded)[mix], replay(past, wanted)[mix]))
            _warn(told[-1], recorded)
        if as_json:
            print_json(told)
        else:
            print_table(list(told[0]), [list(row.values()) for row in told])
        note(
            "durations are as recorded: where all cores were busy, more slots would have made each cut slower"
        )


def _recorded(snapshot: Path, mix: str) -> tuple[list[PastMix], Limits]:
    """The mix, all that was cut at the same time, and the limits that were in force for it."""
    rows = _rows(snapshot, _MIXES.format(mix=mix))
    if mix not in {row["id"] for row in rows}:
        raise UsageError(f"{mix} is not in the snapshot, or has not ended yet; see `clipfold mixes`")
    attempts = _rows(snapshot, _ATTEMPTS.format(mixes=", ".join(f"'{row['id']}'" for row in rows)))
    of_mix: defaultdict[str, list[Row]] = defaultdict(list)
    for attempt in attempts:
        of_mix[attempt["mix_id"]].append(attempt)
    config = _config(snapshot, of_mix[mix])
    past = [
        PastMix(
            row["id"],
            row["submitted_at_ms"],
            row["finished_at_ms"],
            tuple(_tried(of_mix[row["id"]], config)),
            row["priority"] or DEFAULT_PRIORITY,
            _handover_ms(of_mix[row["id"]]),
        )
        for row in rows
    ]
    return past, Limits(config.max_parallelism, config.per_video_limit)


def _handover_ms(attempts: list[Row]) -> int:
    """From an attempt's end to the next one in its slot: the first quartile, as longer gaps are waits."""
    slots: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in sorted(attempts, key=lambda row: row["started_at_ms"]):
        slots[row["worker"], row["parallel_slot"]].append(row)
    gaps = sorted(
        later["started_at_ms"] - earlier["finished_at_ms"]
        for rows in slots.values()
        for earlier, later in pairwise(rows)
    )
    return max(0, gaps[len(gaps) // 4]) if gaps else 0


def _config(snapshot: Path, attempts: list[Row]) -> RenderClipConfig:
    """What was in force for the newest attempt; before any was set, as many slots as were used."""
    version = max((row["config_version"] for row in attempts), default=-1)
    configs = {row["config_version"]: row["config"] for row in _rows(snapshot, _CONFIGS)}
    if version in configs:
        return RenderClipConfig.model_validate_json(configs[version])
    slots = max((row["parallel_slot"] for row in attempts), default=0) + 1
    return RenderClipConfig(max_parallelism=slots)


def _tried(rows: list[Row], config: RenderClipConfig) -> Iterator[Tried]:
    """The attempts at a mix, line by line."""
    for _, line in groupby(rows, key=itemgetter("clip_task_id")):
        yield from _line(list(line), config)


def _line(rows: list[Row], config: RenderClipConfig) -> list[Tried]:
    """The attempts at one line, oldest first; a retry waited as long as it had to, and then for a slot."""
    found = []
    ended_at_ms = 0
    for row in rows:
        retries = row["attempt"] - 1
        longest_ms = config.retry_backoff_ms * 2 ** (retries - 1) * JITTER_PERCENT // 100 if retries else 0
        waited_ms = max(0, min(row["started_at_ms"] - ended_at_ms, int(longest_ms)))
        ended_at_ms = row["finished_at_ms"]
        name, video, worker = row["clip_task_id"], row["video_id"], row["worker"]
        found.append(Tried(name, video, worker, row["started_at_ms"], ended_at_ms, waited_ms))
    return found


def _rows(snapshot: Path, sql: str) -> list[Row]:
    result = run_sql(snapshot, sql, max_rows=MAX_ROWS)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def _told(mix: str, past: list[PastMix], as_it_was: Outcome, wanted: Outcome) -> Row:
    (recorded_ms,) = (each.wall_ms for each in past if each.mix_id == mix)
    return {
        "mix": mix,
        "recorded_ms": recorded_ms,
        "replayed_ms": as_it_was.wall_ms,
        "off_percent": _percent(as_it_was.wall_ms, recorded_ms),
        "what_if_ms": wanted.wall_ms,
        "change_percent": _percent(wanted.wall_ms, as_it_was.wall_ms),
        "peak_parallelism": wanted.peak_parallelism,
    }


def _percent(value_ms: int, of_ms: int) -> float:
    return round((value_ms / max(of_ms, 1) - 1) * 100, 1)


def _warn(told: Row, recorded: Limits) -> None:
    if abs(told["off_percent"]) > TOLERANCE_PERCENT:
        limits = f"{recorded.max_parallelism} slots, {recorded.per_video_limit} attempts at a video"
        note(
            f"{told['mix']} cannot be replayed within {TOLERANCE_PERCENT} % under what was in force "
            f"({limits}): the config changed, workers came, went or paused, or it was over in a moment. "
            "Do not build on what is said of it"
        )
