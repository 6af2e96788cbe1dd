"""Run SQL that a user typed on a snapshot, in a process of its own that can neither write nor reach out."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_app.child_process import end_group
from stream_app.domain.errors import ClipfoldError, UsageError

GRACE_S = 2.0
"""DuckDB ends a query at its time limit; the process is ended so much later, whatever it does."""


class SqlError(ClipfoldError):
    """The SQL is wrong, or asks for what is not allowed; the message is DuckDB's own."""

    stage = "sql"


class SqlTimeoutError(SqlError):
    """The query ran longer than it was allowed."""


@dataclass(frozen=True, slots=True)
class SqlResult:
    """Columns and rows; values are what JSON can say, times as ISO text in UTC, bytes as hex."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool


def run_sql(
    snapshot: Path, sql: str, *, timeout_s: float = 10.0, max_rows: int = 10_000, memory_mb: int = 512
) -> SqlResult:
    """Run `sql` on `snapshot`, read-only.

    Args:
        snapshot: the published DuckDB file.
        sql: one statement or more; the rows of the last one are returned.
        timeout_s: the query is ended after so long.
        max_rows: further rows are left out, and `truncated` says so.
        memory_mb: what DuckDB may use, MiB.

    Raises:
        UsageError: there is no snapshot yet.
        SqlTimeoutError: it ran for too long.
        SqlError: DuckDB refused it, or it broke.
    """
    if not snapshot.exists():
        raise UsageError(
            f"there is no snapshot at {snapshot} yet: start `clipfold serve`, which publishes it"
        )
    order = {
        "snapshot": str(snapshot.absolute()),
        "sql": sql,
        "timeout_ms": max(1, round(timeout_s * 1000)),
        "max_rows": max_rows,
        "memory_mb": memory_mb,
    }
    answer = _answer(_child_output(json.dumps(order).encode(), timeout_s))
    if "error" in answer:
        raise SqlTimeoutError(_too_long(timeout_s)) if answer["timed_out"] else SqlError(answer["error"])
    rows = tuple(tuple(row) for row in answer["rows"])
    return SqlResult(tuple(answer["columns"]), rows, answer["truncated"])


def _child_output(order: bytes, timeout_s: float) -> bytes:
    process = subprocess.Popen(
        # Isolated: neither the working directory nor the environment decides what is imported.
        [sys.executable, "-I", "-m", "projections.query_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={},
    )
    try:
        return process.communicate(order, timeout_s + GRACE_S)[0]
    except subprocess.TimeoutExpired as expired:
        raise SqlTimeoutError(_too_long(timeout_s)) from expired
    finally:
        end_group(process)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _answer(output: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        raise SqlError("the query ended without an answer: it needed more memory than it may use") from None
    return answer


def _too_long(timeout_s: float) -> str:
    return f"the query ran longer than {timeout_s:g} s: narrow it, or give it more time"
