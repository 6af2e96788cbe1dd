"""`clipfold serve`."""

from functools import partial
from typing import Annotated

import typer

from stream_app.app.serve import run_serve
from stream_app.cli.roles import run_role


def serve(
    *,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="Fold the log anew beside the tables that are there, then go on with those."
        ),
    ] = False,
) -> None:
    """Fold the log into DuckDB, publish the snapshot, answer over HTTP. SIGTERM ends it."""
    run_role("serve", partial(run_serve, rebuild=rebuild))
