"""The process that runs a user's SQL: it reads the order on stdin and writes the answer on stdout."""

import json
import math
import resource
import sys
from datetime import date, datetime, time
from typing import Any

import duckdb

from stream_app.child_process import die_with_parent

MAX_ANSWER_BYTES = 64 * 2**20
ROOM_BYTES = 2 * 2**30
"""Address space beyond DuckDB's own memory limit: libraries, threads' stacks, and the answer itself."""


def main() -> None:
    """Answer one order."""
    die_with_parent()
    order = json.load(sys.stdin)
    try:
        answer = _run(order)
    except duckdb.Error as error:
        answer = {"error": str(error), "timed_out": isinstance(error, duckdb.InterruptException)}
    text = json.dumps(answer)
    if len(text) > MAX_ANSWER_BYTES:
        text = json.dumps({"error": "the answer is larger than 64 MiB: select less", "timed_out": False})
    sys.stdout.write(text)


def _run(order: dict[str, Any]) -> dict[str, Any]:
    limit = order["memory_mb"] * 2**20 + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with duckdb.connect(order["snapshot"], read_only=True, config=_locked_down(order)) as con:
        con.execute("SET lock_configuration = true")
        con.execute(order["sql"])
        columns = [column[0] for column in con.description or ()]
        rows = con.fetchmany(order["max_rows"] + 1) if columns else []
    kept = rows[: order["max_rows"]]
    return {
        "columns": columns,
        "rows": [[plain(value) for value in row] for row in kept],
        "truncated": len(rows) > len(kept),
    }


def _locked_down(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "enable_external_access": False,
        "allow_community_extensions": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "memory_limit": f"{order['memory_mb']}MiB",
        "temp_directory": "",
        "threads": 2,
        "max_execution_time": order["timeout_ms"],
    }


def plain(value: Any) -> Any:
    """`value` as JSON can say it, exactly: what JSON has no type for becomes text."""
    match value:
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
    return _text(value)


def _text(value: Any) -> str:
    match value:
        case bytes():
            return value.hex()
        case datetime() | date() | time():
            return value.isoformat()
    return str(value)


if __name__ == "__main__":
    main()
