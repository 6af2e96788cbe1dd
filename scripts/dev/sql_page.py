"""docs/reference/sql.md: every table and column that users may rely on, from projections/tables.py."""

from collections.abc import Iterator

from field_tables import table

from projections.tables import PUBLIC_TABLES, Table

NOTE = "<!-- made by scripts/dev/generate_reference.py from projections/tables.py: do not edit -->"
INTRODUCTION = """
`clipfold serve` folds the log into DuckDB and publishes a snapshot, `artifacts/clipfold.duckdb`, about once
a second while there is something new. Any DuckDB >= 1.4 may open it at any time, read-only; whoever has it
open keeps reading the same state, so open it anew for newer data. `clipfold sql "..."` and `GET
/api/v1/sql?q=...` ask it safely.

Everything is a function of the log: `clipfold replay --verify` folds it again and compares. Times are
`TIMESTAMP` in UTC, with milliseconds. The meanings below are also in the file: `SELECT comment FROM
duckdb_columns()`.

[15 questions of operators](../how-to/questions.md) show how the tables are used. The two that everything
began with:

```sql
SELECT id, json_extract(metrics, '$.render.clip_stats.peak_parallelism') AS peak_parallelism,
       json_extract(metrics, '$.render.clip_stats.placeholder_tasks') AS placeholder_tasks,
       json_extract(metrics, '$.render.clip_stats.total_clips') AS total_clips
FROM render_jobs ORDER BY submitted_at DESC LIMIT 1;
```

```sql
SELECT json_extract(metrics, '$.render.clip_stats.placeholder_tasks') AS placeholder_tasks,
       json_extract(metrics, '$.render.clip_stats.failed_tasks') AS failed_tasks,
       json_extract(metrics, '$.render.clip_stats.fallback_reason_counts') AS fallback_reason_counts
FROM render_jobs ORDER BY submitted_at DESC LIMIT 1;
```

`json_extract` gives JSON text (`'7'`); `clip_stats` has the same figures as numbers.
"""


def sql_page() -> str:
    """The page, as it is committed."""
    lines = [NOTE, "", "# Tables for SQL", INTRODUCTION]
    return "\n".join([*lines, *(line for each in PUBLIC_TABLES for line in _table(each))]).rstrip("\n") + "\n"


def _table(described: Table) -> Iterator[str]:
    yield f"## {described.name}"
    yield ""
    yield f"{described.meaning[0].upper()}{described.meaning[1:]}."
    yield ""
    rows = (
        (f"`{name}`", f"`{kind}`", meaning.replace("|", "\\|")) for name, kind, meaning in described.columns
    )
    yield from table(("column", "type", "meaning"), rows)
    yield ""
