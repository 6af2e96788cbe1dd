"""`clipfold kafka` and `clipfold topics`: the embedded broker, and the topics of any Kafka."""

import asyncio

import typer

from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import Exit, exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json
from stream_app.kafka import broker
from stream_app.kafka.topology import create_topics, find_mismatches
from stream_app.settings import Settings

kafka_app = typer.Typer(help="The embedded Kafka broker: a real one, for a machine that has none.")
topics_app = typer.Typer(help="Declare and verify the topics.")


@kafka_app.command()
def start() -> None:
    """Start the broker, fetching it first when it was never here; a running one is left as it is."""
    with exit_codes():
        running = broker.start(Settings().home, on_progress=note)
        note("Kafka was started" if running.started_here else "Kafka was running already")
        print(running.bootstrap)


@kafka_app.command()
def stop() -> None:
    """Stop the broker; its data stays."""
    with exit_codes():
        note("Kafka was stopped" if broker.stop(Settings().home) else "Kafka was not running")


@kafka_app.command()
def status(*, as_json: AsJson = False) -> None:
    """Say whether the broker runs and where."""
    with exit_codes():
        running = broker.status(Settings().home)
        facts = {
            "running": running is not None,
            "bootstrap": running.bootstrap if running else None,
            "pid": running.pid if running else None,
            "data_dir": str(running.data_dir) if running else None,
        }
        (print_json if as_json else print_facts)(facts)
        if running is None:
            raise typer.Exit(Exit.SERVICE_MISSING)


@topics_app.command()
def create() -> None:
    """Create what is missing and bring the settings of what is there to what is declared."""
    with exit_codes():
        created = asyncio.run(create_topics(with_kafka(Settings()), align=True))
        note(f"created {', '.join(created)}" if created else "all topics were there as declared")


@topics_app.command()
def check(*, as_json: AsJson = False) -> None:
    """Compare the topics with their declaration; exit 1 when one differs."""
    with exit_codes():
        mismatches = asyncio.run(find_mismatches(with_kafka(Settings())))
        if as_json:
            print_json([{"topic": each.topic, "what": each.what, "mend": each.mend} for each in mismatches])
        else:
            print("\n".join(map(str, mismatches)) or "all topics are as declared")
        if mismatches:
            raise typer.Exit(Exit.FAILED)
