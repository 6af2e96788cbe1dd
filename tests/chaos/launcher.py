"""Run a role of clipfold with something in it spoilt: `... launcher HOW python -m stream_app.cli ROLE`.

The product has no switch for this: its functions are replaced in this process, before the role starts.

Mutants, each of which the verifier must find:
- `commit-before-produce`: a task counts as done when it is delivered.
- `no-dedupe`: the fold takes a record for new however often it is delivered.
- `swallowed-full-disk`: a clip that found no room is said to be made, as the last one that did.

`shifted-clock`: its wall clock is wrong by the seconds that its world notes (`World.shift_clock`), and jumps.

Fail-points (`die-...:TIMES`): the worker ends right there, without a word, so many times in all.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from projections import fold, publish, store
from stream_app import cli
from stream_app.assembly import runner
from stream_app.assembly.order import AssembleOrder
from stream_app.cutting.orders import CutResult
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.sandbox import Sandbox
from stream_app.cutting.service import Cutter
from stream_app.domain.errors import OwnFaultError
from stream_app.kafka.writer import Writer
from stream_app.sources.sources import Sources
from tests.chaos.dying import Die, dying


def commit_before_produce() -> None:
    deliver = Cutter.deliver

    def deliver_and_finish(self: Cutter, delivery: Any) -> None:
        deliver(self, delivery)
        delivery.finish()

    Cutter.deliver = deliver_and_finish  # type: ignore[method-assign]


def no_dedupe() -> None:
    known = fold._known  # noqa: SLF001 - a mutant changes what is inside

    def positions(con: Any) -> dict[fold.Place, int]:
        return {place: offset for place, (offset, _) in known(con).items()}

    store.positions = publish.positions = positions
    fold._known = lambda _con: {}  # noqa: SLF001 - the same


def swallowed_full_disk() -> None:
    run = CutterPool.run
    made: list[CutResult] = []

    async def run_and_swallow(self: CutterPool, order: Any) -> CutResult:
        try:
            made.append(await run(self, order))
        except OwnFaultError:
            if not made:
                raise
        return made[-1]

    CutterPool.run = run_and_swallow  # type: ignore[method-assign]


def die_after_fetch(die: Die) -> None:
    obtain = Sources.obtain

    @asynccontextmanager
    async def obtain_and_die(self: Sources, *arguments: Any) -> AsyncIterator[Any]:
        async with obtain(self, *arguments) as source:
            die()
            yield source

    Sources.obtain = obtain_and_die  # type: ignore[method-assign,assignment]


def die_at_rename(_die: Die) -> None:
    """That lies in a cutting process, which takes the worker with it."""
    command, spoilt_by = Sandbox.command, sys.argv[1]

    def spoilt_command(self: Sandbox, clips: Path, owner: str) -> list[str]:
        python, *_, terms = command(self, clips, owner)
        return [python, "-m", "tests.chaos.dying", spoilt_by, terms]

    Sandbox.command = spoilt_command  # type: ignore[method-assign]


def die_after_produce(die: Die) -> None:
    send_event = Writer.send_event

    async def send_and_die(self: Writer, event: Any) -> None:
        await send_event(self, event)
        if event.type == "clip-completed":
            die()

    Writer.send_event = send_and_die  # type: ignore[method-assign]


def die_before_commit(die: Die) -> None:
    commit = AIOKafkaConsumer.commit

    async def die_or_commit(self: AIOKafkaConsumer, offsets: Any = None) -> None:
        if any(place.topic == "clip-tasks" for place in offsets or ()):
            die()
        await commit(self, offsets)

    AIOKafkaConsumer.commit = die_or_commit


def die_in_join(die: Die) -> None:
    """The worker ends when its joining process has begun its files."""
    ask = runner._ask  # noqa: SLF001 - a fail-point lies inside

    async def ask_and_die(process: Any, order: Any) -> bytes:
        asking = asyncio.ensure_future(ask(process, order))
        if isinstance(order, AssembleOrder):
            folder = order.mixes_dir / order.mix_id
            while not asking.done() and not list(folder.glob("*/.joining-*/*")):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.001)
            if not asking.done():
                die()
        return await asking

    runner._ask = ask_and_die  # noqa: SLF001 - the same


def shifted_clock() -> None:
    note, right = Path(os.environ["CHAOS_NOTES"]) / f"clock-of-{os.getpid()}", time.time_ns

    def wrong_ns() -> int:
        with suppress(OSError, ValueError):
            return right() + int(note.read_text()) * 1_000_000_000
        return right()

    time.time_ns = wrong_ns
    time.time = lambda: wrong_ns() / 1e9


FOR_GOOD = {
    "commit-before-produce": commit_before_produce,
    "no-dedupe": no_dedupe,
    "swallowed-full-disk": swallowed_full_disk,
    "shifted-clock": shifted_clock,
}
"""Mutants and wrong clocks: spoilt for as long as the role runs."""

FAIL_POINTS = {
    "die-after-fetch": die_after_fetch,
    "die-before-rename": die_at_rename,
    "die-after-rename": die_at_rename,
    "die-after-produce": die_after_produce,
    "die-before-commit": die_before_commit,
    "die-in-join": die_in_join,
}


def main() -> None:
    how = sys.argv[1]
    if how in FOR_GOOD:
        FOR_GOOD[how]()
    else:
        FAIL_POINTS[how.partition(":")[0]](dying(how))
    sys.argv = ["clipfold", *sys.argv[sys.argv.index("stream_app.cli") + 1 :]]
    cli.main()


if __name__ == "__main__":
    main()
