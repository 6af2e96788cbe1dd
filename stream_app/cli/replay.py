"""`clipfold replay` and `export-log`: fold the log anew, and take it along."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, BinaryIO

import typer

from projections.fold import Place
from projections.publish import Publisher
from projections.rebuild import Difference, differences, fold_records, positions_of, rebuild
from projections.store import Store
from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import Exit, exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json
from stream_app.domain.errors import UsageError
from stream_app.kafka.clients import FETCH_WAIT_MS, make_consumer
from stream_app.kafka.dump import dumped, read_dump
from stream_app.kafka.extract import is_about, redacted
from stream_app.kafka.follow import read_topic
from stream_app.kafka.record import Record
from stream_app.python_gc import sparing_what_is_loaded
from stream_app.settings import Settings
from topics.ids import RecordRef
from topics.registry import TOPICS

STDIO = Path("-")
_MS = re.compile(r"[0-9]{11,15}")
"""Milliseconds since 1970 of any year from 1973 on; a shorter number would be an offset of who knows what."""


@dataclass(frozen=True)
class Limit:
    """How far to fold: up to offsets of partitions, and up to a time in ms since 1970."""

    until: dict[Place, int] = field(default_factory=dict)
    before_ms: int | None = None


def replay(
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A DuckDB file that is not there yet. Default: replay.duckdb in the artifacts.",
        ),
    ] = None,
    until: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RECORD|TIME",
            help="Fold only what comes before it: a record, as topic/partition/offset (again for other "
            "partitions), or a time, as ISO 8601 or ms since 1970.",
        ),
    ] = None,
    from_log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Fold a dump of export-log or `kcat -J` instead of Kafka; - is stdin."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with the live snapshot, as far as that one goes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fold the log from its beginning into a fresh DuckDB file; exit 1 when --verify finds a difference."""
    with exit_codes():
        settings = Settings()
        if verify and until:
            raise UsageError("--verify folds as far as the snapshot goes: leave --until out")
        target = _free(to) if to else settings.artifacts_dir / "replay.duckdb"
        target.parent.mkdir(parents=True, exist_ok=True)
        with _held(settings.snapshot_path, target.parent) if verify else nullcontext() as live:
            limit = Limit(positions_of(live)) if live else _parsed(until or [])
            began = time.monotonic()
            folded = _fold(settings, target, limit, from_log)
            took_s = round(time.monotonic() - began, 3)
            found = differences(live, target) if live else []
        facts = {"file": str(target), "records": folded, "seconds": took_s}
        _tell(facts, found if verify else None, as_json=as_json)
        if found:
            raise typer.Exit(Exit.FAILED)


def export_log(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Lines of JSON, as of `kcat -J`; - is stdout.")
    ],
    *,
    topic: Annotated[
        list[str] | None, typer.Option(help="Only that topic (may be repeated); without it, all of clipfold.")
    ] = None,
    mix: Annotated[
        str | None, typer.Option(metavar="MIX", help="Only records about that mix, and every config.")
    ] = None,
    redact: Annotated[
        bool,
        typer.Option("--redact", help="Without user names and query strings in addresses: they may be keys."),
    ] = False,
) -> None:
    """Dump topics, to replay them elsewhere or to send with a report of a bug."""
    with exit_codes():
        known = [each.name for each in TOPICS]
        if unknown := set(topic or ()) - set(known):
            raise UsageError(
                f"no topic of clipfold is named {', '.join(sorted(unknown))}: {', '.join(known)}"
            )
        with nullcontext(sys.stdout.buffer) if file == STDIO else _free(file).open("xb") as out:
            count = asyncio.run(_export(with_kafka(Settings()), out, topic or known, mix, redact=redact))
        note(f"{count} records written{'' if file == STDIO else f' to {file}'}")


def _fold(settings: Settings, target: Path, limit: Limit, from_log: Path | None) -> int:
    """Fold into a private file, and leave a snapshot of it at `target`."""
    with (
        TemporaryDirectory(prefix=".replay-", dir=target.parent) as folder,
        Store(Path(folder) / "private.duckdb") as store,
        sparing_what_is_loaded(),
    ):
        if from_log is None:
            kafka = with_kafka(settings)
            consumer = partial(make_consumer, kafka, fetch_max_wait_ms=FETCH_WAIT_MS)
            folded = asyncio.run(rebuild(consumer, store, until=limit.until, before_ms=limit.before_ms))
        else:
            with _lines(from_log) as lines:
                records = read_dump(lines, str(from_log))
                folded = fold_records(store, records, until=limit.until, before_ms=limit.before_ms)
        Publisher(store, target).publish()
    return folded


def _lines(file: Path) -> "nullcontext[BinaryIO] | BinaryIO":
    try:
        return nullcontext(sys.stdin.buffer) if file == STDIO else file.open("rb")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def _free(file: Path) -> Path:
    if file.exists():
        raise UsageError(f"{file} is there already: name another file, or remove it")
    return file


@contextmanager
def _held(snapshot: Path, folder: Path) -> Iterator[Path]:
    """The snapshot as it is now, whatever is published meanwhile."""
    if not snapshot.exists():
        raise UsageError(f"there is no snapshot at {snapshot} to compare with: start `clipfold serve`")
    with TemporaryDirectory(prefix=".live-", dir=folder) as held:
        kept = Path(held) / snapshot.name
        try:
            os.link(snapshot, kept)
        except OSError:
            kept.write_bytes(snapshot.read_bytes())
        yield kept


def _parsed(until: list[str]) -> Limit:
    times = [text for text in until if "/" not in text]
    if len(times) > 1:
        raise UsageError(f"--until takes one time: {', '.join(times)}")
    try:
        refs = [RecordRef.parse(text) for text in until if "/" in text]
        before_ms = _ms(times[0]) if times else None
    except ValueError as error:
        raise UsageError(
            f"--until is a record, such as mix-events/3/120, or a time, such as 2026-11-27T18:00:00Z: {error}"
        ) from error
    return Limit({(ref.topic, ref.partition): ref.offset for ref in refs}, before_ms)


def _ms(text: str) -> int:
    if _MS.fullmatch(text):
        return int(text)
    if text.isdecimal():
        raise ValueError(f"{text} is no time, and an offset needs its topic and partition")
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


async def _export(
    settings: Settings, out: BinaryIO, topics: list[str], mix: str | None, *, redact: bool
) -> int:
    count = 0
    async for record in _records(settings, topics):
        if mix is None or is_about(record, mix):
            out.write(dumped(redacted(record) if redact else record) + b"\n")
            count += 1
    return count


async def _records(settings: Settings, topics: list[str]) -> AsyncIterator[Record]:
    for topic in topics:
        async with aclosing(read_topic(settings, topic)) as records:
            async for record in records:
                yield record


def _tell(facts: dict[str, object], found: list[Difference] | None, *, as_json: bool) -> None:
    shown = [{"table": each.table, "only_in": each.only_in.name, "row": each.row} for each in found or ()]
    verified = None if found is None else not found
    if as_json:
        print_json({**facts, "verified": verified, "differences": shown})
        return
    print_facts(facts if found is None else {**facts, "verified": verified})
    for each in shown:
        note(f"{each['table']}: only in {each['only_in']}: {each['row']}")
