"""`clipfold config get`, `set`, `history`: the render config, straight from and to Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer

from projections.reader import SnapshotReader
from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import ServiceMissingError, exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json, print_table
from stream_app.config.history import ConfigChange, read_history
from stream_app.config.parts import changing_config
from stream_app.config.service import KAFKA_TIMEOUT_S, KafkaAwayError
from stream_app.domain.config import ConfigInForce, InvalidConfigError
from stream_app.domain.errors import UsageError
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.topology import create_topics
from stream_app.kafka.writer import open_writer
from stream_app.settings import Settings

config_app = typer.Typer(
    no_args_is_help=True, help="The render config: how workers cut, changed while they run."
)

ResultT = TypeVar("ResultT")


@config_app.command()
def get(*, as_json: AsJson = False) -> None:
    """Print the config in force."""
    with exit_codes():
        _print(_ask(_in_force), as_json=as_json)


@config_app.command(name="set")
def set_fields(
    fields: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE...")],
    *,
    version: Annotated[
        int | None, typer.Option(help="Change it only while this config_version is in force.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change some fields; returns when Kafka has acknowledged it. Workers obey at once."""
    with exit_codes():
        changes = dict(map(_parsed, fields))
        versions = None if version is None else {version}

        async def change(settings: Settings, reader: RenderConfigReader) -> ConfigInForce:
            async with (
                open_writer(settings, "cli") as writer,
                changing_config(settings, writer, reader) as parts,
            ):
                return await parts.service.change(changes, actor="cli", versions=versions)

        try:
            in_force = _ask(change)
        except InvalidConfigError as error:
            raise UsageError(f"nothing was changed: {error}") from error
        _print(in_force, as_json=as_json)


@config_app.command()
def history(*, limit: Annotated[int, typer.Option(min=1, max=1000)] = 20, as_json: AsJson = False) -> None:
    """Say who changed what, the newest first."""
    with exit_codes():

        async def newest(settings: Settings, reader: RenderConfigReader) -> list[ConfigChange]:
            async with aclosing(SnapshotReader(settings.snapshot_path)) as snapshot:
                return await read_history(snapshot, reader, limit)

        changes = _ask(newest)
        if as_json:
            print_json([asdict(change) for change in changes])
        else:
            print_table(("config_version", "changed_at", "actor", "changes"), list(map(_row, changes)))
        if not changes:
            note("nobody has set a config yet: the default is in force")


def _ask(question: Callable[[Settings, RenderConfigReader], Awaitable[ResultT]]) -> ResultT:
    settings = with_kafka(Settings())

    async def answer() -> ResultT:
        await create_topics(settings)
        async with _reading(settings) as reader:
            return await question(settings, reader)

    try:
        return asyncio.run(answer())
    except KafkaAwayError as error:
        raise ServiceMissingError(str(error)) from error


async def _in_force(_: Settings, reader: RenderConfigReader) -> ConfigInForce:
    return reader.current


@asynccontextmanager
async def _reading(settings: Settings) -> AsyncIterator[RenderConfigReader]:
    """A reader that has read to the end. What was typed wrong long ago is told by `history` alone."""
    reader, stop = RenderConfigReader(settings, complains=False), asyncio.Event()
    reading = asyncio.create_task(reader.run(stop))
    try:
        ready = asyncio.create_task(reader.ready.wait())
        await asyncio.wait({reading, ready}, timeout=KAFKA_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not reader.ready.is_set() and not reading.done():
            raise KafkaAwayError("Kafka does not answer")
        if reader.ready.is_set():
            yield reader
    finally:
        stop.set()
        await reading


def _parsed(field: str) -> tuple[str, Any]:
    name, equals, value = field.partition("=")
    if not name or not equals:
        raise UsageError(f"{field!r} is not of the form FIELD=VALUE, such as max_parallelism=6")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _print(in_force: ConfigInForce, *, as_json: bool) -> None:
    facts = {**in_force.config.model_dump(), "config_version": in_force.version}
    (print_json if as_json else print_facts)(facts)


def _row(change: ConfigChange) -> tuple[object, ...]:
    told = ", ".join(f"{name}: {old} -> {new}" for name, (old, new) in change.changes.items())
    return (change.config_version, change.changed_at, change.actor, change.error or told or "nothing")
