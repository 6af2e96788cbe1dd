"""What each record of `render-config` changed: folded as every process folds them."""

import json
from typing import Any

from duckdb import DuckDBPyConnection

from stream_app.domain.config import ConfigInForce, ConfigRecord, ConfigState, Verdict, apply_record
from topics.config import DEFAULT_VERSION, UNNAMED_ACTOR, RenderClipConfig

_DEFAULT = ConfigInForce(DEFAULT_VERSION, RenderClipConfig())


def roll_up_config(con: DuckDBPyConnection) -> None:
    """Write `config_history` anew from the records of `render-config`: there are few of them."""
    con.execute("DELETE FROM config_history")
    records = con.execute(
        "SELECT kafka_offset, epoch_ms(logged_at_ms), actor, headers, body FROM fold.config_records "
        "ORDER BY kafka_offset"
    ).fetchall()
    state = ConfigState(_DEFAULT)
    rows = []
    for offset, logged_at, actor, headers, body in records:
        step = apply_record(state, _DEFAULT, ConfigRecord(offset, body, json.loads(headers)))
        state = step.state
        if step.is_news:
            rows.append(
                [
                    offset,
                    logged_at,
                    actor or UNNAMED_ACTOR,
                    step.verdict in (Verdict.APPLIED, Verdict.RESTATED),
                    step.error,
                    _json(step.after.config.model_dump()),
                    _json(step.changes),
                ]
            )
    if rows:
        con.executemany("INSERT INTO config_history VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
