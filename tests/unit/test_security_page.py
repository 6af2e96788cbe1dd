"""docs/security.md names a test for every control: each of them is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
TABLE_OF_CONTROLS = "| threat | control | test |"


@pytest.mark.parametrize(("file", "test"), NAMED, ids=lambda part: part.rpartition("/")[2])
def test_it_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert test in {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_row_of_a_table_of_controls_names_one() -> None:
    tables = [part.split("\n\n")[0] for part in PAGE.split(TABLE_OF_CONTROLS)[1:]]
    assert len(tables) == 5
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert len(rows) > 40
    assert [row for row in rows if "::test_" not in row] == []


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
