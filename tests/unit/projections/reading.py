"""Read public tables back as plain Python."""

import json
from collections.abc import Sequence
from typing import Any

from projections.store import Store
from stream_app.kafka.record import Record


def told(store: Store, records: Sequence[Record]) -> None:
    """Fold and roll up a history in one go."""
    store.fold(records)
    store.roll_up()


def rows(store: Store, sql: str, *parameters: object) -> list[dict[str, Any]]:
    """The rows of a query, each as a dict."""
    cursor = store.con.execute(sql, parameters)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def row(store: Store, sql: str, *parameters: object) -> dict[str, Any]:
    """The only row of a query."""
    (only,) = rows(store, sql, *parameters)
    return only


def stats(store: Store, mix_id: str = "m1") -> dict[str, Any]:
    """`$.render.clip_stats` of a mix, which must say the same as its typed columns."""
    metrics = row(store, "SELECT metrics FROM render_jobs WHERE id = ?", mix_id)["metrics"]
    figures: dict[str, Any] = json.loads(metrics)["render"]["clip_stats"]
    typed = row(store, "SELECT * EXCLUDE (mix_id) FROM clip_stats WHERE mix_id = ?", mix_id)
    for name in ("fallback_reason_counts", "per_video"):
        typed[name] = json.loads(typed[name])
    assert figures == typed
    return figures
