"""SQL over HTTP: rows, clear errors, and nothing that a query could do to the server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.api.client import problem_of

SQL = "/api/v1/sql"
ENDLESS = "SELECT count(*) FROM range(10_000_000_000) AS a, range(1_000_000) AS b"


def test_rows_come_with_their_columns(client: httpx.Client, rendered: dict[str, Any]) -> None:
    assert rendered
    asked = {"q": "SELECT id, status FROM render_jobs WHERE id = 'rendered'"}
    answer = client.get(SQL, params=asked).raise_for_status().json()
    assert answer == {"columns": ["id", "status"], "rows": [["rendered", "rendered"]], "truncated": False}
    answer = client.get(SQL, params={"q": "FROM range(5)", "limit": 2}).json()
    assert (answer["rows"], answer["truncated"]) == ([[0], [1]], True)


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT statsu FROM render_jobs", "statsu"),
        ("DELETE FROM clips", "read-only"),
        ("FROM read_text('/etc/passwd')", "disabled"),
    ],
)
def test_what_cannot_be_run_is_told(client: httpx.Client, sql: str, complaint: str) -> None:
    (error,) = problem_of(client.get(SQL, params={"q": sql}), 422)["errors"]
    assert (error["path"], error["code"]) == ("/query/q", "sql_error")
    assert complaint in error["message"]


@pytest.mark.usefixtures("rendered")
def test_queries_without_end_leave_the_api_alone(client: httpx.Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(client.get, SQL, params={"q": ENDLESS}, timeout=40) for _ in range(4)]
        while not all(each.done() for each in asked):
            assert client.get("/healthz").status_code == 200
            assert client.get("/api/v1/mixes").status_code == 200
        statuses = sorted(each.result().status_code for each in asked)
    # Two were ended at their limit; the others had no turn in time.
    assert statuses == [422, 422, 503, 503]
    assert client.get(SQL, params={"q": "SELECT 1"}).json()["rows"] == [[1]]
