"""Ask the snapshot in SQL: what `clipfold sql` does, for those who may operate."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from projections.query import SqlError, SqlResult, run_sql
from stream_app.api.documented import problems
from stream_app.api.parts import PartsOf, unavailable
from stream_app.api.problems import invalid
from stream_app.domain.errors import UsageError
from topics.events import FieldError

router = APIRouter(prefix="/api/v1", tags=["service"])

TIMEOUT_S = 10.0
"""A query is ended after so long: somebody waits for the answer on an open connection."""

TURN_TIMEOUT_S = 5.0
MAX_SQL = 4_000
"""Characters of a query: percent-encoded they take up to 48 KB, and an address of 64 KB is refused."""

_EXAMPLE = "SELECT id, status FROM render_jobs ORDER BY submitted_at DESC LIMIT 1"


class SqlAnswer(BaseModel):
    """Rows of a query; values are what JSON can say, times as ISO text in UTC, bytes as hex."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"columns": ["id", "status"], "rows": [["demo-1", "rendered"]], "truncated": False}]
        }
    )

    columns: list[str] = Field(description="names of the columns")
    rows: list[list[Any]] = Field(description="one list a row")
    truncated: bool = Field(description="whether there are more rows than `limit`")


@router.get(
    "/sql",
    operation_id="runSql",
    summary="Ask the snapshot in SQL",
    responses=problems(403, 422, 503),
)
async def run(
    parts: PartsOf,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MAX_SQL,
            description="SQL of DuckDB",
            openapi_examples={"a": {"value": _EXAMPLE}},
        ),
    ],
    limit: Annotated[int, Query(ge=1, le=10_000, description="rows at most")] = 1000,
) -> SqlAnswer:
    """Run one query on the snapshot, in a process of its own that can only read it; takes the role *operate*.

    A query gets 10 s and 512 MiB, and two run at a time.
    """
    result = await _in_turn(
        parts.queries,
        lambda: run_sql(parts.settings.snapshot_path, q, timeout_s=TIMEOUT_S, max_rows=limit),
    )
    return SqlAnswer(
        columns=list(result.columns), rows=[list(row) for row in result.rows], truncated=result.truncated
    )


async def _in_turn(turns: asyncio.Semaphore, ask: Callable[[], SqlResult]) -> SqlResult:
    try:
        async with asyncio.timeout(TURN_TIMEOUT_S):
            await turns.acquire()
    except TimeoutError as error:
        raise unavailable("other queries are running: two may at a time") from error
    try:
        return await asyncio.to_thread(ask)
    except SqlError as error:
        raise invalid([FieldError(path="/query/q", code="sql_error", message=str(error))]) from error
    except UsageError as error:
        raise unavailable(str(error)) from error
    finally:
        turns.release()
