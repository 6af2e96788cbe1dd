"""The command line `clipfold`: thin commands over the program."""

import logging
import sys

import typer

from stream_app.cli import (
    config,
    dlq,
    doctor,
    gc,
    kafka,
    render,
    replay,
    requests,
    revise,
    roles,
    sql,
    top,
    what_if,
)
from stream_app.telemetry.log import configure_logging

app = typer.Typer(
    name="clipfold",
    help="Make music videos from mix requests, with the whole story kept in Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    render.render,
    roles.worker,
    roles.serve,
    requests.submit,
    requests.watch,
    top.top,
    requests.cancel,
    revise.revise,
    requests.mixes,
    requests.show,
    requests.events,
    sql.sql,
    replay.replay,
    replay.export_log,
    what_if.what_if,
    gc.gc,
    doctor.doctor,
):
    app.command()(command)
app.add_typer(config.config_app, name="config")
app.add_typer(dlq.dlq_app, name="dlq")
app.add_typer(kafka.kafka_app, name="kafka")
app.add_typer(kafka.topics_app, name="topics")


def main() -> None:
    """Run the command line."""
    # Commands say on stdout what they were asked for, and what went wrong themselves; the roles set their
    # own logging up.
    configure_logging("WARNING", to=sys.stderr)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    app()
