"""When a config counts in a worker: what it does while a placeholder is made ready."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stream_app.config.in_force import ConfigAtWork
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.settings import Settings
from tests.integration.config.conftest import PLACEHOLDER, Process, Typist, process, until
from topics.config import RenderClipConfig
from topics.reasons import FallbackReason

DEFAULTS: dict[str, Any] = RenderClipConfig().model_dump()


class Checks:
    """Stands for decoding: each path has its end, and takes until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.errors: dict[str, list[Exception]] = {}
        self.held: dict[str, asyncio.Event] = {}

    async def __call__(self, path: str) -> None:
        self.asked.append(path)
        if path in self.held:
            await self.held[path].wait()
        if self.errors.get(path):
            raise self.errors[path].pop(0)


class Worker:
    """The part of a worker that obeys, and all that it obeyed."""

    def __init__(self, one: Process) -> None:
        self.checks = Checks()
        self.at_work = ConfigAtWork(one.reader, self.checks)
        self.obeyed: list[dict[str, Any]] = []
        self.at_work.on_change = self._note

    def _note(self) -> None:
        self.obeyed.append(self.at_work.current.config.model_dump())

    @property
    def current(self) -> dict[str, Any]:
        return {**self.at_work.current.config.model_dump(), "version": self.at_work.current.version}


@asynccontextmanager
async def worker(one: Process) -> AsyncIterator[Worker]:
    started, stop = Worker(one), asyncio.Event()
    running = asyncio.create_task(started.at_work.run(stop))
    try:
        await asyncio.wait_for(started.at_work.ready.wait(), 60)
        yield started
    finally:
        stop.set()
        await running


def invalid() -> SourceError:
    return SourceError(FallbackReason.SOURCE_INVALID, "no video", stage="config")


async def typed(one: Process, typist: Typist, **fields: Any) -> int:
    """Have fields typed; the version, once it was read."""
    known = one.reader.state.read_to
    await typist.type(fields)
    await until(lambda: one.reader.state.read_to > known, f"{fields} was read")
    assert fields.items() <= one.config.items()
    return one.reader.current.version


async def test_a_placeholder_is_ready_before_it_counts_and_holds_nothing_else_up(
    settings: Settings, typist: Typist
) -> None:
    async with process(settings, keeps=False) as one:
        await typed(one, typist, **DEFAULTS)
        async with worker(one) as at_work:
            assert at_work.checks.asked == [str(PLACEHOLDER)]
            at_work.checks.held["slow.mp4"] = asyncio.Event()
            await typed(one, typist, placeholder_asset_path="slow.mp4", max_retry=7)
            await until(lambda: "slow.mp4" in at_work.checks.asked, "it is made ready")
            assert at_work.current["max_retry"] == 2
            # Another change, back to the old one, need not wait for it.
            back = await typed(one, typist, placeholder_asset_path=str(PLACEHOLDER), max_retry=8)
            await until(lambda: at_work.current["version"] == back, "the newest is in force")
            at_work.checks.held["slow.mp4"].set()
            last = await typed(one, typist, max_retry=9)
            await until(lambda: at_work.current["version"] == last, "the next one too")
        assert [(each["max_retry"], each["placeholder_asset_path"]) for each in at_work.obeyed] == [
            (2, str(PLACEHOLDER)),
            (8, str(PLACEHOLDER)),
            (9, str(PLACEHOLDER)),
        ]


async def test_what_is_taken_back_was_never_in_force(settings: Settings, typist: Typist) -> None:
    async with process(settings) as one:
        before = await one.service.change(DEFAULTS, actor="ann")
        async with worker(one) as at_work:
            at_work.checks.errors["text.mp4"] = [invalid()] * 9
            await typist.type({"placeholder_asset_path": "text.mp4", "max_retry": 7})
            await one.reader.read_to(before.version + 2)
            later = await one.service.change({"max_retry": 3}, actor="ann")
            await until(lambda: at_work.current["version"] == later.version, "the next one is in force")
        assert [each["max_retry"] for each in at_work.obeyed] == [2, 3]


async def test_what_only_others_can_see_is_obeyed_in_all_else(settings: Settings, typist: Typist) -> None:
    async with process(settings, keeps=False) as one:
        await typed(one, typist, **DEFAULTS)
        async with worker(one) as at_work:
            at_work.checks.errors["far.mp4"] = [invalid(), invalid()]
            version = await typed(one, typist, placeholder_asset_path="far.mp4", max_retry=7)
            await until(lambda: at_work.current["version"] == version, "it is in force")
            assert at_work.current["max_retry"] == 7
            assert at_work.current["placeholder_asset_path"] == str(PLACEHOLDER)
            version = await typed(one, typist, max_retry=8)
            await until(lambda: at_work.current["version"] == version, "so is the next one")
            assert at_work.current["placeholder_asset_path"] == str(PLACEHOLDER)
            version = await typed(one, typist, max_retry=9)
            await until(lambda: at_work.current["version"] == version, "and the one that finds it good")
            assert at_work.current["placeholder_asset_path"] == "far.mp4"


async def test_a_check_that_our_own_side_prevents_is_tried_again(settings: Settings, typist: Typist) -> None:
    async with process(settings, keeps=False) as one:
        await typed(one, typist, **DEFAULTS)
        async with worker(one) as at_work:
            at_work.checks.errors["good.mp4"] = [OwnFaultError("no space left")]
            await typed(one, typist, placeholder_asset_path="good.mp4")
            await until(lambda: at_work.current["placeholder_asset_path"] == "good.mp4", "it was tried again")
            assert at_work.checks.asked[1:] == ["good.mp4", "good.mp4"]
