"""`clipfold kafka` and `clipfold topics`: the embedded broker, and the topics of any Kafka."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import Exit, exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json
from stream_app.kafka import broker
from stream_app.kafka.topology import create_topics, find_mismatches
from stream_app.settings import Settings

kafka_app = typer.Typer(help="The embedded Kafka: a real one, for a machine that has none.")
topics_app = typer.Typer(help="Declare and verify the topics.")


Brokers = Annotated[
    int | None,
    typer.Option(
        help="1, or 3 for a cluster that goes on when one is lost; without it as many as there were"
    ),
]


@kafka_app.command()
def start(brokers: Brokers = None) -> None:
    """Start Kafka, fetching it first when it was never here; a broker that runs is left as it is."""
    with exit_codes():
        running = broker.start(Settings().home, brokers=brokers, on_progress=note)
        if running.started_here:
            note("Kafka was started")
        elif running.started:
            note(f"Kafka was running; started again: node {', '.join(map(str, sorted(running.started)))}")
        else:
            note("Kafka was running already")
        print(running.bootstrap)


@kafka_app.command()
def stop() -> None:
    """Stop the broker; its data stays."""
    with exit_codes():
        note("Kafka was stopped" if broker.stop(Settings().home) else "Kafka was not running")


@kafka_app.command()
def status(*, as_json: AsJson = False) -> None:
    """Say whether Kafka runs and where; of a cluster, which of its brokers do."""
    with exit_codes():
        running = broker.status(Settings().home)
        nodes = running.nodes if running else ()
        facts: dict[str, Any] = {
            "running": running is not None,
            "bootstrap": running.bootstrap if running else None,
        }
        of_first = {
            "pid": running.pid if running else None,
            "data_dir": str(running.data_dir) if running else None,
        }
        if as_json:
            shown = [{**asdict(node), "data_dir": str(node.data_dir)} for node in nodes]
            print_json({**facts, **of_first, "nodes": shown})
        elif len(nodes) > 1:
            print_facts(facts | {f"node {node.number}": _in_words(node) for node in nodes})
        else:
            print_facts(facts | of_first)
        if running is None:
            raise typer.Exit(Exit.SERVICE_MISSING)


def _in_words(node: broker.BrokerNode) -> str:
    if node.pid is None:
        return "down; `clipfold kafka start` brings it back"
    return f"{node.bootstrap}, process {node.pid}, data in {node.data_dir}"


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
