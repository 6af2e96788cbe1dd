"""`clipfold render`: from a request in a file to a video in a file, whatever is there or missing."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from projections.query import run_sql
from stream_app.cli.exits import Exit, exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json, stats_facts
from stream_app.cli.progress import showing_progress
from stream_app.cli.request_file import read_request
from stream_app.cli.stack import Stack, local_stack
from stream_app.cli.story import Progress, follow_to_end, read_mix
from stream_app.domain.errors import ClipfoldError, UsageError
from stream_app.domain.submission import Submission
from stream_app.file_uri import path_of
from stream_app.kafka.submit import submit_request
from stream_app.kafka.topology import create_topics
from stream_app.settings import Settings
from topics.codec import encode
from topics.events import MixEnd, MixRendered
from topics.requests import MixRevise

SNAPSHOT_TIMEOUT_S = 60.0
SNAPSHOT_POLL_S = 0.2

Request = Annotated[
    Path, typer.Argument(metavar="REQUEST.json", help="A mix request (docs/reference/topics.md).")
]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", help="Where to put the video; sidecars go beside it.")
]


def render(request: Request, out: Out = None, *, as_json: AsJson = False) -> None:
    """Render a mix in one go: start what is missing, show progress, put the video where you want it."""
    with exit_codes():
        file = read_request(request)
        with local_stack(Settings()) as stack:
            end = asyncio.run(_render(stack, file))
        if not isinstance(end, MixRendered):
            note(f"clipfold: {file.mix_id} ended as {end.type}: {end.reason}: {end.message}")
            raise typer.Exit(Exit.FAILED)
        video = deliver(path_of(end.uri), out)
        _report(end, video, as_json=as_json)


async def _render(stack: Stack, file: Submission) -> MixEnd:
    settings = stack.settings
    await create_topics(settings)
    asked, revision = await _ask_once(settings, file)
    with showing_progress(file.mix_id, stack.metrics_url) as show:

        def watch(progress: Progress) -> None:
            stack.check()
            show(progress)

        _, end = await follow_to_end(settings, file.mix_id, revision=revision, on_progress=watch, asked=asked)
    await _until_in_snapshot(stack, file.mix_id)
    return end


async def _ask_once(settings: Settings, file: Submission) -> tuple[str | None, int]:
    """Submit the request unless the log has it already; where it stands, if it was sent, and its revision.

    A mix whose video was removed since is made again, as its next revision.

    Raises:
        UsageError: the log has a mix of that id with other content.
    """
    mix = await read_mix(settings, file.mix_id)
    known = mix.accepted
    if known is None:
        return str(await submit_request(settings, file.mix_id, file.value)), 1
    if known.content_digest != file.digest:
        raise UsageError(
            f"a mix {file.mix_id} with other content was accepted before; give this one another mix_id"
        )
    if isinstance(mix.end, MixRendered) and not path_of(mix.end.uri).is_file():
        note(f"the video of {file.mix_id} was removed: it is made again")
        again = MixRevise(type="mix-revise", mix_id=file.mix_id, again=True)
        return str(await submit_request(settings, file.mix_id, encode(again))), known.revision + 1
    return None, known.revision


async def _until_in_snapshot(stack: Stack, mix_id: str) -> None:
    """Wait until SQL shows that the mix has ended, so that a query typed next has it.

    Raises:
        TimeoutError: the projection did not get there.
    """
    sql = f"SELECT count(*) FROM render_jobs WHERE id = '{mix_id}' AND finished_at IS NOT NULL"  # noqa: S608 - an id of [a-z0-9-]
    async with asyncio.timeout(SNAPSHOT_TIMEOUT_S):
        while not await asyncio.to_thread(_counts_one, stack.settings.snapshot_path, sql):
            stack.check()
            await asyncio.sleep(SNAPSHOT_POLL_S)


def _counts_one(snapshot: Path, sql: str) -> bool:
    try:
        return bool(run_sql(snapshot, sql).rows[0][0])
    except ClipfoldError:  # no snapshot yet
        return False


def deliver(video: Path, out: Path | None) -> Path:
    """Copy the video and its sidecars to where the user wants them, each appearing whole.

    Raises:
        UsageError: the video was deleted after it was rendered.
    """
    if not video.is_file():
        raise UsageError(f"{video} was rendered but is no longer there; the same command makes it again")
    if out is None:
        return video
    out.parent.mkdir(parents=True, exist_ok=True)
    for sidecar in video.parent.glob("video.*"):
        if sidecar != video:
            _copy(sidecar, out.with_suffix(sidecar.suffix))
    _copy(video, out)
    return out


def _copy(source: Path, target: Path) -> None:
    descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    try:
        shutil.copyfile(source, draft)
        Path(draft).chmod(0o644)
        Path(draft).replace(target)
    finally:
        Path(draft).unlink(missing_ok=True)


def _report(end: MixRendered, video: Path, *, as_json: bool) -> None:
    stats = end.clip_stats
    if as_json:
        print_json({"mix_id": end.mix_id, "video": str(video), **end.model_dump(mode="json")})
        return
    print_facts({"video": video, "frames": end.frames, "duration_ms": end.duration_ms, **stats_facts(stats)})
    if stats.placeholder_tasks:
        note(
            f"{stats.placeholder_tasks} of {stats.total_clips} lines show a placeholder; "
            f"`clipfold show {end.mix_id}` says why"
        )
