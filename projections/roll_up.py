"""Bring the public tables up to date with what was folded, for the mixes that something happened to."""

from duckdb import DuckDBPyConnection

from projections.config_history import roll_up_config
from projections.schema import sql_of


def roll_up(con: DuckDBPyConnection) -> int:
    """Turn the records folded since the last call into events, facts and public rows, in one transaction.

    Returns:
        How many mixes changed.

    Raises:
        duckdb.Error: nothing was changed; roll back and reopen.
    """
    con.begin()
    con.execute("SET VARIABLE round = (SELECT coalesce(max(first_round), 0) + 1 FROM fold.mixes)")
    con.execute(sql_of("expand"))
    con.execute("CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT mix_id FROM useful")
    con.execute(
        "SET VARIABLE since = (SELECT min(first_round) FROM fold.mixes WHERE mix_id IN (FROM touched))"
    )
    changed = _count(con, "touched")
    if changed:
        con.execute(sql_of("roll_up"))
    if _count(con, "arrived WHERE topic = 'render-config'"):
        roll_up_config(con)
    con.execute("DELETE FROM fold.incoming; DROP VIEW useful; DROP TABLE arrived")
    con.commit()
    return changed


def _count(con: DuckDBPyConnection, rows: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {rows}").fetchone()  # noqa: S608 - the names above, no input
    return int(row[0]) if row else 0
