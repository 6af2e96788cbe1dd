"""What each record of `render-config` changed: whole configs and partial ones, merged in log order."""

import json
from typing import Any

from duckdb import DuckDBPyConnection

from stream_app.domain.config import ConfigInForce, apply_record
from topics.codec import Poison
from topics.config import CONFIG_KEY, DEFAULT_VERSION, RenderClipConfig

_DEFAULT = ConfigInForce(DEFAULT_VERSION, RenderClipConfig())


def roll_up_config(con: DuckDBPyConnection) -> None:
    """Write `config_history` anew from the records of `render-config` in `events`: there are few of them."""
    con.execute("DELETE FROM config_history")
    records = con.execute(
        "SELECT kafka_offset, logged_at, actor, value, raw FROM events "
        "WHERE topic = 'render-config' AND record_key = ? ORDER BY kafka_offset",
        [CONFIG_KEY],
    ).fetchall()
    current = _DEFAULT
    for offset, logged_at, actor, value, raw in records:
        body = raw if value is None else value.encode()
        result = apply_record(current, _DEFAULT, offset, body)
        error = result.error if isinstance(result, Poison) else None
        after = current if isinstance(result, Poison) else result
        con.execute(
            "INSERT INTO config_history VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                offset,
                logged_at,
                actor,
                error is None,
                error,
                _json(after.config.model_dump()),
                _json(_changes(current.config, after.config)),
            ],
        )
        current = after


def _changes(old: RenderClipConfig, new: RenderClipConfig) -> dict[str, list[Any]]:
    before, after = old.model_dump(), new.model_dump()
    return {name: [before[name], after[name]] for name in after if before[name] != after[name]}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
