"""How commands speak: results on stdout as a table or as JSON, all else on stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from topics.stats import ClipStats

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def note(message: str) -> None:
    """Tell the user something that is not the result."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, markup=False)


WIDE = 4096
"""Columns of an output that is no terminal: nothing is cut off or wrapped for whoever reads it."""


def console() -> Console:
    """Where results are printed."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    print(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under their column names; an empty cell is a null."""
    table = Table(*columns, header_style="bold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print one thing's facts, a line each."""
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {'-' if value is None else value}")


def stats_facts(stats: ClipStats) -> dict[str, Any]:
    """The figures of a mix for a person; nested ones on one line."""
    facts = stats.model_dump(mode="json")
    return {
        name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in facts.items()
    }
