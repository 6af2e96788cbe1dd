"""`clipfold submit`, `watch`, `cancel`, `show`, `mixes`, `events`: requests and what became of them."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from projections.query import run_sql
from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import Exit, exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json, print_table, stats_facts
from stream_app.cli.progress import showing_progress
from stream_app.cli.request_file import read_request
from stream_app.cli.story import follow_to_end, read_mix
from stream_app.domain.errors import UsageError
from stream_app.domain.mix import Mix
from stream_app.file_uri import path_of
from stream_app.kafka.follow import follow_mix
from stream_app.kafka.submit import submit_request
from stream_app.settings import Settings
from topics.codec import encode
from topics.events import ClipPlaceholder, MixRendered
from topics.ids import is_mix_id
from topics.requests import MixCancel

MixId = Annotated[str, typer.Argument(metavar="MIX", help="The mix_id.")]


def submit(
    request: Annotated[Path, typer.Argument(metavar="REQUEST.json")],
    *,
    mix_id: Annotated[str | None, typer.Option(help="Another mix_id than the file's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a request; returns when Kafka has acknowledged it."""
    with exit_codes():
        file = read_request(request, mix_id)
        ref = asyncio.run(submit_request(with_kafka(Settings()), file.mix_id, file.value))
        facts = {"mix_id": file.mix_id, "record": str(ref)}
        (print_json if as_json else print_facts)(facts)


def watch(mix: MixId, *, as_json: AsJson = False) -> None:
    """Follow a mix to its end; exit 1 when that is not a video."""
    with exit_codes():
        settings = with_kafka(Settings())
        known = asyncio.run(read_mix(settings, checked(mix))).accepted
        watch_to_end(settings, mix, revision=known.revision if known else 1, as_json=as_json)


def watch_to_end(
    settings: Settings, mix: str, *, revision: int, as_json: bool, asked: str | None = None
) -> None:
    """Follow a mix until that revision of it, or a newer one, has ended, and print what became of it."""
    with showing_progress(mix, None) as show:
        state, end = asyncio.run(
            follow_to_end(settings, mix, revision=revision, on_progress=show, asked=asked)
        )
    _print_mix(mix, state, as_json=as_json)
    if not isinstance(end, MixRendered):
        raise typer.Exit(Exit.FAILED)


def cancel(mix: MixId) -> None:
    """Ask to stop a mix."""
    with exit_codes():
        value = encode(MixCancel(type="mix-cancel", mix_id=checked(mix)))
        ref = asyncio.run(submit_request(with_kafka(Settings()), mix, value))
        note(f"asked to cancel {mix} ({ref})")


def show(mix: MixId, *, as_json: AsJson = False) -> None:
    """Say what the log knows of a mix: status, figures, and why lines show a placeholder."""
    with exit_codes():
        state = asyncio.run(read_mix(with_kafka(Settings()), checked(mix)))
        if state.accepted is None:
            raise UsageError(f"no mix {mix} was ever accepted; `clipfold events {mix}` shows rejections")
        _print_mix(mix, state, as_json=as_json)


def mixes(*, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20, as_json: AsJson = False) -> None:
    """List the newest mixes, from the snapshot."""
    with exit_codes():
        sql = "SELECT id, status, submitted_at, finished_at, revision, output_uri FROM render_jobs"
        result = run_sql(Settings().snapshot_path, f"{sql} ORDER BY submitted_at DESC LIMIT {limit}")
        rows = [[str(cell) if cell is not None else None for cell in row] for row in result.rows]
        if as_json:
            print_json([dict(zip(result.columns, row, strict=True)) for row in rows])
        else:
            print_table(result.columns, rows)


def events(mix: MixId, *, as_json: AsJson = False) -> None:
    """Print every event of a mix in log order; with --json each as it stands in Kafka, one a line."""
    with exit_codes():
        asyncio.run(_print_events(with_kafka(Settings()), checked(mix), as_json=as_json))


async def _print_events(settings: Settings, mix: str, *, as_json: bool) -> None:
    async with aclosing(follow_mix(settings, mix, live=False)) as records:
        async for record in records:
            if record is None or record.value is None:
                continue
            text = record.value.decode(errors="replace")
            print(text if as_json else f"{record.ref}  {record.header('ce_type') or '-'}  {text}")


def checked(mix: str) -> str:
    """The mix_id that was typed.

    Raises:
        UsageError: it cannot be one.
    """
    if not is_mix_id(mix):
        raise UsageError(f"{mix!r} is no mix_id: those have 1-64 of a-z, 0-9 and -")
    return mix


def _print_mix(mix_id: str, mix: Mix, *, as_json: bool) -> None:
    stats = mix.stats()
    placeholders = [outcome for outcome in mix.effective_outcomes if isinstance(outcome, ClipPlaceholder)]
    facts: dict[str, Any] = {
        "mix_id": mix_id,
        "status": mix.end.type.removeprefix("mix-") if mix.end else "rendering",
        "revision": mix.accepted.revision if mix.accepted else None,
        "lines": mix.accepted.total_clips if mix.accepted else None,
        "output_uri": mix.end.uri if isinstance(mix.end, MixRendered) else None,
    }
    if isinstance(mix.end, MixRendered) and not path_of(mix.end.uri).is_file():
        note(f"the video is not there any more; `clipfold revise {mix_id} --again` makes it once more")
    if as_json:
        reasons = [
            each.model_dump(mode="json", include={"clip_index", "fallback_reason", "attempts"})
            for each in placeholders
        ]
        print_json({**facts, "clip_stats": stats.model_dump(mode="json"), "placeholders": reasons})
        return
    print_facts({**facts, **stats_facts(stats)})
    if placeholders:
        rows = [
            (each.clip_index, each.fallback_reason, "; ".join(a.error for a in each.attempts))
            for each in placeholders
        ]
        print_table(("clip", "fallback_reason", "attempts"), rows)
