"""`clipfold revise`: change lines of a mix, whatever has become of it, and say what that takes."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import exit_codes
from stream_app.cli.output import AsJson, note, print_facts, print_json
from stream_app.cli.request_file import RejectedError, read_change
from stream_app.cli.requests import MixId, checked, watch_to_end
from stream_app.cli.story import read_mix
from stream_app.domain.errors import UsageError
from stream_app.domain.mix import Mix
from stream_app.domain.plan import plan_mix
from stream_app.domain.revise import content_of, revised
from stream_app.kafka.submit import submit_request
from stream_app.settings import Settings
from topics.codec import encode
from topics.requests import MixRequest, MixRevise


def revise(
    mix: MixId,
    change: Annotated[
        Path | None,
        typer.Argument(metavar="CHANGE.json", help="Changed or new lines by line_id; song, gaps, ..."),
    ] = None,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Make the video once more, such as when its file was removed.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the new revision to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change or add lines of a mix that was accepted; clips of lines left alone are used again."""
    with exit_codes():
        settings = with_kafka(Settings())
        command = _command(change, checked(mix), again=again)
        facts = asyncio.run(_ask(settings, command, mix))
        if not watch:
            (print_json if as_json else print_facts)(facts)
            return
        note(", ".join(f"{name} {value}" for name, value in facts.items()))
        watch_to_end(settings, mix, revision=facts["revision"], asked=facts["record"], as_json=as_json)


def _command(change: Path | None, mix_id: str, *, again: bool) -> MixRevise:
    """What to send.

    Raises:
        UsageError: nothing is asked for, or the file cannot be used.
    """
    if change is None:
        if not again:
            raise UsageError("name a file of changes, or ask for the same once more with --again")
        return MixRevise(type="mix-revise", mix_id=mix_id, again=True)
    command = read_change(change, mix_id)
    return command.model_copy(update={"again": True}) if again else command


async def _ask(settings: Settings, change: MixRevise, mix_id: str) -> dict[str, Any]:
    """Send the change unless it changes nothing; what comes of it, as far as that can be told from the log.

    Raises:
        UsageError: there is no such mix.
        RejectedError: the mix with the change in it cannot be; every error is named.
    """
    mix = await read_mix(settings, mix_id)
    if mix.accepted is None:
        raise UsageError(f"no mix {mix_id} was ever accepted; `clipfold submit` sends a new one")
    before = content_of(mix.accepted)
    after = revised(before, change)
    if isinstance(after, tuple):
        raise RejectedError(after)
    if after == before and not change.again:
        note(f"{mix_id} is like this already; nothing was sent")
        return {"mix_id": mix_id, "record": None, "revision": mix.accepted.revision}
    ref = await submit_request(settings, mix_id, encode(change))
    revision = mix.accepted.revision + 1
    asked_anew = revision if change.again else mix.accepted.asked_anew
    return {
        "mix_id": mix_id,
        "record": str(ref),
        "revision": revision,
        **_clips(mix, after, mix_id, asked_anew),
    }


def _clips(mix: Mix, after: MixRequest, mix_id: str, asked_anew: int) -> dict[str, int]:
    """How many clips the new plan takes over, and how many it asks for."""
    tasks = {line.clip_task_id for line in plan_mix(after, mix_id, asked_anew).lines}
    kept = len(tasks & mix.outcomes.keys())
    return {"clips_kept": kept, "clips_to_make": len(tasks) - kept}
