"""Make the tables of a new projection file, private and public ones, with their comments."""

from importlib.resources import files

from duckdb import DuckDBPyConnection

from projections.tables import PUBLIC_TABLES, Table

SCHEMA_VERSION = 3
"""Raised with every change of a table or of what is put in it: an older file is then folded anew."""

_COMPRESSED = {("events", "value"): "zstd"}
"""Left to itself, DuckDB keeps JSON as it is: a million events then take 1.7 GB instead of 0.3."""


def sql_of(name: str) -> str:
    """The SQL text of `sql/<name>.sql`."""
    return (files("projections") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def create_schema(con: DuckDBPyConnection) -> None:
    """Create every table in an empty file, in one transaction."""
    con.begin()
    con.execute(sql_of("private"))
    con.execute("INSERT INTO fold.version VALUES (?)", [SCHEMA_VERSION])
    for table in PUBLIC_TABLES:
        con.execute(_public_ddl(table))
    con.commit()


def schema_version(con: DuckDBPyConnection) -> int | None:
    """The version of the tables in a file; `None` when it has none of ours."""
    known = con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'fold' AND table_name = 'version'"
    ).fetchone()
    row = con.execute("SELECT version FROM fold.version").fetchone() if known else None
    return int(row[0]) if row else None


def _public_ddl(table: Table) -> str:
    columns = ", ".join(f"{name} {kind}{_compression(table, name)}" for name, kind, _ in table.columns)
    comments = [f"COMMENT ON TABLE {table.name} IS {_quoted(table.meaning)}"] + [
        f"COMMENT ON COLUMN {table.name}.{name} IS {_quoted(meaning)}" for name, _, meaning in table.columns
    ]
    return ";\n".join([f"CREATE TABLE {table.name} ({columns})", *comments])


def _compression(table: Table, column: str) -> str:
    kind = _COMPRESSED.get((table.name, column))
    return f" USING COMPRESSION {kind}" if kind else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
