"""Who changed what, and when: from the snapshot, and from the topic what the snapshot has not yet."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from projections.reader import Row, SnapshotReader
from stream_app.domain.config import Verdict
from stream_app.kafka.render_config import RenderConfigReader, Told
from topics.config import UNNAMED_ACTOR

_SQL = """
SELECT config_version, strftime(changed_at, '%Y-%m-%dT%H:%M:%S.%gZ') AS changed_at, actor, valid, error,
       config::VARCHAR AS config, changes::VARCHAR AS changes
FROM config_history WHERE $before IS NULL OR config_version < $before
ORDER BY config_version DESC LIMIT $count
"""


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A record of `render-config` that was to change something.

    Attributes:
        config_version: its offset.
        changed_at: when Kafka got it, RFC 3339 in UTC; None when that is no time.
        actor: name of a token, `api`, `cli`, `serve`; `kcat` when the record names nobody.
        valid: whether it came into force.
        error: why it did not.
        config: the whole config after it.
        changes: field: [old, new].
    """

    config_version: int
    changed_at: str | None
    actor: str
    valid: bool
    error: str | None
    config: dict[str, Any]
    changes: dict[str, list[Any]]


async def read_history(
    snapshot: SnapshotReader, reader: RenderConfigReader, limit: int, *, before: int | None = None
) -> list[ConfigChange]:
    """The newest changes, the newest first. What was compacted away stands in the snapshot only.

    Args:
        snapshot: what is published.
        reader: of the topic, which knows what is not published yet.
        limit: so many at most.
        before: only changes below this config version; None: from the newest.

    Raises:
        SnapshotError: the snapshot cannot be read now. That it is not there yet is no error.
    """
    asked = {"count": limit, "before": before}
    rows = await snapshot.rows(_SQL, asked) if snapshot.is_published() else []
    published = list(map(_published, rows))
    newest = published[0].config_version if published else -1
    fresh = [
        _change(told)
        for told in reader.told_after(newest)
        if told.step.is_news and (before is None or told.step.record.offset < before)
    ]
    return [*reversed(fresh), *published][:limit]


def _published(row: Row) -> ConfigChange:
    return ConfigChange(**{**row, **{name: json.loads(row[name]) for name in ("config", "changes")}})


def _change(told: Told) -> ConfigChange:
    step = told.step
    return ConfigChange(
        config_version=step.record.offset,
        changed_at=_in_words(told.at_ms),
        actor=told.actor or UNNAMED_ACTOR,
        valid=step.verdict in (Verdict.APPLIED, Verdict.RESTATED),
        error=step.error,
        config=step.after.config.model_dump(),
        changes=step.changes,
    )


def _in_words(at_ms: int) -> str | None:
    try:
        text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None
    return text.replace("+00:00", "Z")
