"""`clipfold dlq list`, `show`, `redrive`: records that could not be used, and sending them back."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json, print_table
from stream_app.domain.errors import UsageError
from stream_app.kafka.dead_letters import Letter, read_letters, redrive
from stream_app.kafka.writer import open_writer
from stream_app.settings import Settings

dlq_app = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be used.")

FromTopic = Annotated[str | None, typer.Option(help="Only letters that were refused in that topic.")]
_SHOWN = 100
"""Characters of an error in a list."""


@dlq_app.command(name="list")
def list_letters(
    *,
    topic: FromTopic = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""
    with exit_codes():
        letters = [letter for letter in _letters() if topic in (None, letter.origin.topic)]
        rows = [_summary(letter) for letter in letters[::-1][:limit]]
        if as_json:
            print_json(rows)
        elif not rows:
            note("no dead letters")
        else:
            names = ("letter", "at", "from", "stage", "error", "redriven")
            print_table(names, [[str(row[name] or "")[:_SHOWN] for name in names] for row in rows])


@dlq_app.command()
def show(
    letter: Annotated[int, typer.Argument(metavar="LETTER", help="Its number in `dlq list`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: why, its headers, and its bytes as they were."""
    with exit_codes():
        found = _found(_letters(), letter)
        facts = {**_summary(found), "headers": _headers(found), **_value(found)}
        (print_json if as_json else print_facts)(facts)


@dlq_app.command(name="redrive")
def redrive_letters(
    letters: Annotated[list[int] | None, typer.Argument(metavar="LETTER...")] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were not sent back yet, of --topic if that is named.")
    ] = False,
    topic: FromTopic = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was sent back before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to where they were refused, unchanged."""
    with exit_codes():
        if bool(letters) == everything:
            raise UsageError("name letters, or say --all")
        known = _letters()
        if everything:
            chosen = [each for each in known if topic in (None, each.origin.topic)]
            chosen = chosen if again else [each for each in chosen if each.redriven is None]
        else:
            chosen = [_found(known, number) for number in letters or ()]
            if not again and (sent := [each for each in chosen if each.redriven is not None]):
                raise UsageError(f"{_numbers(sent)} was sent back before: say --again to do it once more")
        if not yes and chosen:
            typer.confirm(f"send {len(chosen)} back to where they were refused?", abort=True, err=True)
        places = asyncio.run(_redrive(with_kafka(Settings()), chosen))
        rows = [
            {"letter": each.record.ref.offset, "sent_to": str(place)}
            for each, place in zip(chosen, places, strict=True)
        ]
        if as_json:
            print_json(rows)
        else:
            print_table(("letter", "sent_to"), [list(row.values()) for row in rows])


async def _redrive(settings: Settings, letters: list[Letter]) -> list[Any]:
    async with open_writer(settings, "cli") as writer:
        return await redrive(writer, letters)


def _letters() -> list[Letter]:
    return asyncio.run(read_letters(with_kafka(Settings())))


def _found(letters: list[Letter], number: int) -> Letter:
    for letter in letters:
        if letter.record.ref.offset == number:
            return letter
    raise UsageError(f"there is no dead letter {number}: see `clipfold dlq list`")


def _numbers(letters: list[Letter]) -> str:
    return ", ".join(str(letter.record.ref.offset) for letter in letters)


def _summary(letter: Letter) -> dict[str, Any]:
    at = datetime.fromtimestamp(letter.record.timestamp_ms / 1000, UTC)
    return {
        "letter": letter.record.ref.offset,
        "at": at.isoformat(timespec="milliseconds"),
        "from": str(letter.origin),
        "group": letter.group,
        "stage": letter.stage,
        "error": letter.error,
        "redriven": letter.redriven,
    }


def _headers(letter: Letter) -> dict[str, str | None]:
    return {
        name: None if value is None else value.decode(errors="backslashreplace")
        for name, value in letter.record.headers
    }


def _value(letter: Letter) -> dict[str, str | None]:
    """Its key and its bytes: as text where they are text, else in hexadecimal."""
    record = letter.record
    key = None if record.key is None else record.key.decode(errors="backslashreplace")
    if record.value is None:
        return {"key": key, "value": None}
    try:
        return {"key": key, "value": record.value.decode()}
    except UnicodeDecodeError:
        return {"key": key, "value_hex": record.value.hex()}
