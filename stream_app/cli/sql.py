"""`clipfold sql`: ask the snapshot."""

import csv
import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

from projections.query import SqlResult, run_sql
from stream_app.cli.exits import exit_codes
from stream_app.cli.output import note, print_table
from stream_app.settings import Settings


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def sql(
    query: Annotated[
        str, typer.Argument(metavar="SQL", help="Tables: render_jobs, clip_stats, clips, attempts, events.")
    ],
    *,
    output: Annotated[
        Format, typer.Option("--format", help="table, json (a list of objects) or csv.")
    ] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    timeout_s: Annotated[
        float, typer.Option(min=0.1, max=3600, help="The query is ended after so long.")
    ] = 30.0,
) -> None:
    """Run SQL on the snapshot: read-only, with nothing else in reach."""
    with exit_codes():
        result = run_sql(Settings().snapshot_path, query, timeout_s=timeout_s)
        _print(result, Format.JSON if as_json else output)
        if result.truncated:
            note(f"only the first {len(result.rows)} rows are shown; add a LIMIT or an aggregate")


def _print(result: SqlResult, output: Format) -> None:
    match output:
        case Format.JSON:
            rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
            print(json.dumps(rows, ensure_ascii=False, default=str))
        case Format.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(result.columns)
            writer.writerows(result.rows)
        case Format.TABLE:
            print_table(result.columns, result.rows)
