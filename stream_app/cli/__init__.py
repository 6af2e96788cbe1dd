"""The command line `clipfold`: thin commands over the program."""

import logging
import sys

import typer

from stream_app.cli.commands import Commands
from stream_app.telemetry.log import configure_logging

app = typer.Typer(
    name="clipfold",
    cls=Commands,
    help="Make music videos from mix requests, with the whole story kept in Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Makes it a group of commands, though it has none of its own.
    callback=lambda: None,
)


def main() -> None:
    """Run the command line."""
    # Commands say on stdout what they were asked for, and what went wrong themselves; the roles set their
    # own logging up.
    configure_logging("WARNING", to=sys.stderr)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    app()
