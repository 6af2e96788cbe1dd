"""docs/how-to/questions.md, asked of a real run in which something went wrong."""

import json
import re
from typing import Any

import pytest

from projections.query import run_sql
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import ROOT
from tests.integration.render.test_guarded_kafka import free_port
from tests.integration.render.test_parallel_clip_pipeline import small

PAGE = (ROOT / "docs/how-to/questions.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^## (\d+)\. .*?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def answers(stack: Stack, slow_case: dict[str, Any]) -> dict[int, Rows]:
    """A mix with a retry, a fall-through and a placeholder; a rejected one; and junk in the log."""
    request = small(slow_case, "questioned", lines=3)
    dead = {"video_id": "questioned-dead", "uri": f"http://127.0.0.1:{free_port()}/a.mp4", "start_ms": 0}
    first, second, third = request["lines"]
    lines = [
        first,
        {**second, "candidates": [dead]},
        {**third, "candidates": [dead, *third["candidates"]]},
    ]
    stack.submit({**request, "lines": lines})
    stack.submit({"mix_id": "questioned-badly", "lines": []})
    stack.kcat("-P", "-t", "mix-events", "-k", "junk", typed="no json")
    stack.wait_for_end("questioned")
    stack.wait_for_end("questioned-badly")

    def ask(sql: str) -> Rows:
        result = run_sql(stack.artifacts / "clipfold.duckdb", sql)
        return [dict(zip(result.columns, row, strict=True)) for row in result.rows]

    return {int(number): ask(sql) for number, sql in QUESTIONS}


def one(rows: Rows, **wanted: Any) -> dict[str, Any]:
    (found,) = (row for row in rows if wanted.items() <= row.items())
    return found


def test_there_are_fifteen_and_each_has_an_answer(answers: dict[int, Rows]) -> None:
    assert sorted(answers) == list(range(1, 16))
    assert [number for number, rows in answers.items() if not rows] == []


def test_what_is_slow_and_busy(answers: dict[int, Rows]) -> None:
    assert all(row["p95_ms"] >= 0 and row["cuts"] > 0 for row in answers[1])
    assert all(0 < row["busy_percent"] <= 100 for row in answers[5] if row["attempts"] > 1)
    assert sum(row["attempts"] for row in answers[10]) == sum(row["attempts"] for row in answers[5])
    assert one(answers[7])["p95_ms"] >= one(answers[7])["median_ms"] > 0
    parts = one(answers[8], id="questioned")
    assert all(part >= 0 for name, part in parts.items() if name != "id")
    assert any(row["times_the_average"] > 0 for row in answers[12])


def test_what_went_wrong(answers: dict[int, Rows]) -> None:
    assert one(answers[2], host="127.0.0.1", reason="cdns_unreachable")["lines"] >= 1
    assert all(0 <= row["placeholders"] <= row["lines"] for row in answers[3])
    retried = one(answers[6], reason="cdns_unreachable")
    assert (retried["retried_lines"] >= 2, retried["paid_off"]) == (True, 0)
    assert one(answers[11], id="questioned-badly")["status"] == "rejected"
    assert one(answers[14], video_id="questioned-dead")["reason"] == "cdns_unreachable"
    assert one(answers[15], topic="mix-events", problem="not_json")["records"] >= 1


def test_what_was_shown(answers: dict[int, Rows]) -> None:
    assert json.dumps(answers[4]).count("config_version") == len(answers[4])
    assert one(answers[9])["completed"] >= one(answers[9])["different_clips"] > 0
    assert one(answers[13], candidate_index=1)["lines"] >= 1
    assert abs(sum(row["percent"] for row in answers[13]) - 100) < 1
