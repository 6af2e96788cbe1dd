"""The cutting processes: what crashes or hangs costs one attempt, and none outlives its worker."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stream_app.clip.store import ClipStore
from stream_app.clip.verify import verify_clip
from stream_app.cutting.orders import CutOrder, PlaceholderOrder
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.sandbox import Sandbox
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.sources.source_file import SourceFile
from tests.integration.cutting.sandboxes import best_sandbox
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

LONG = 200_000
"""Frames that nobody waits for."""


@pytest.fixture
def sandbox(tmp_path: Path, order: CutOrder) -> Sandbox:
    return best_sandbox(tmp_path, order.source.path.parent)


@pytest.fixture
async def pool(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[CutterPool]:
    async with CutterPool(2, tmp_path / "clips", sandbox) as pool:
        yield pool


@pytest.fixture
def order(footage: Any, small: RenderProfile) -> CutOrder:
    return CutOrder(SourceFile(footage.source("h264-mp4").path), 1000, 20, 5, small)


@pytest.fixture
def endless(small: RenderProfile) -> PlaceholderOrder:
    return PlaceholderOrder(None, LONG, small)


async def busy_pid(pool: CutterPool) -> int:
    async with asyncio.timeout(60):
        while not pool.pids:  # noqa: ASYNC110 - the pool has no need to tell anyone
            await asyncio.sleep(0.01)
    return next(iter(pool.pids))


async def see_gone(*pids: int) -> None:
    """Wait until every process has ended; the kernel tells also of those that are not our children."""
    loop = asyncio.get_running_loop()
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended = asyncio.Event()
        loop.add_reader(handle, ended.set)
        try:
            async with asyncio.timeout(5):
                await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)


async def test_a_clip_is_made_once_and_then_recalled(
    pool: CutterPool, order: CutOrder, footage: Any, sandbox: Sandbox
) -> None:
    made = await pool.run(order)
    verify_clip(made.path, order.profile, 25)
    assert footage.read(made.path) == list(range(30, 55))
    assert (made.path.name, made.bytes) == (f"{made.sha256}.mp4", made.path.stat().st_size)
    assert (made.frames, made.black_frames, made.recalled) == (25, 0, False)
    assert (made.first_source_ms, made.last_source_ms) == (1000, 1800)
    assert (made.method, made.isolation) == ("pyav-exact", sandbox.isolation)
    again = await pool.run(order)
    assert again == replace(made, recalled=True, duration_ms=again.duration_ms)
    made.path.unlink()
    assert not (await pool.run(order)).recalled
    assert made.path.exists()


async def test_the_same_order_at_once_is_carried_out_once(pool: CutterPool, order: CutOrder) -> None:
    results = await asyncio.gather(*(pool.run(order) for _ in range(3)))
    assert [result.recalled for result in results].count(False) == 1
    assert len({result.sha256 for result in results}) == 1


async def test_processes_are_reused(pool: CutterPool, order: CutOrder) -> None:
    await pool.run(order)
    before = pool.pids
    for start_ms in range(3):
        await pool.run(replace(order, start_ms=start_ms))
    assert pool.pids == before


async def test_what_a_source_lacks_comes_back_as_its_reason(pool: CutterPool, order: CutOrder) -> None:
    with pytest.raises(SourceError) as caught:
        await pool.run(replace(order, start_ms=9000))
    assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT
    assert not caught.value.retryable
    assert caught.value.stage == "choose"


async def test_an_overrun_is_killed_and_leaves_nothing(
    pool: CutterPool, endless: PlaceholderOrder, tmp_path: Path
) -> None:
    job = asyncio.create_task(pool.run(replace(endless, clip_timeout_ms=700)))
    pid = await busy_pid(pool)
    with pytest.raises(SourceError, match="ran out of its time limit of 700 ms") as caught:
        await job
    assert caught.value.reason is FallbackReason.CUT_FAILED
    assert caught.value.retryable
    await see_gone(pid)
    await pool.close()
    assert list((tmp_path / "clips" / ".tmp").iterdir()) == []


async def test_a_crash_costs_one_attempt_only(
    pool: CutterPool, endless: PlaceholderOrder, order: CutOrder
) -> None:
    job = asyncio.create_task(pool.run(endless))
    pid = await busy_pid(pool)
    other = asyncio.create_task(pool.run(order))
    os.kill(pid, signal.SIGSEGV)
    with pytest.raises(SourceError, match="crashed") as caught:
        await job
    assert caught.value.retryable
    assert (await other).frames == 25
    assert (await pool.run(replace(order, start_ms=0))).frames == 25


async def test_a_process_that_died_idle_is_replaced(pool: CutterPool, order: CutOrder) -> None:
    await pool.run(order)
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)
    await see_gone(pid)
    # The event loop may hear of the death only when it asks: then it is one lost attempt.
    with contextlib.suppress(SourceError):
        await pool.run(replace(order, start_ms=7))
    assert (await pool.run(replace(order, start_ms=7))).frames == 25
    assert pid not in pool.pids


async def test_cancelling_kills_the_process(
    pool: CutterPool, endless: PlaceholderOrder, tmp_path: Path
) -> None:
    job = asyncio.create_task(pool.run(endless))
    pid = await busy_pid(pool)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await see_gone(pid)
    await pool.close()
    assert list((tmp_path / "clips" / ".tmp").iterdir()) == []


async def test_closing_ends_running_jobs_as_our_own_fault(
    pool: CutterPool, endless: PlaceholderOrder
) -> None:
    job = asyncio.create_task(pool.run(endless))
    pid = await busy_pid(pool)
    await pool.close()
    with pytest.raises(OwnFaultError):
        await job
    await see_gone(pid)
    with pytest.raises(OwnFaultError):
        await pool.run(endless)


async def test_resizing_holds_at_once(pool: CutterPool, endless: PlaceholderOrder, order: CutOrder) -> None:
    pool.resize(1)
    job = asyncio.create_task(pool.run(endless))
    await busy_pid(pool)
    waiting = asyncio.create_task(pool.run(order))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    assert len(pool.pids) == 1
    pool.resize(2)
    assert (await waiting).frames == 25
    assert len(pool.pids) == 2
    pool.resize(1)
    assert len(pool.pids) == 1
    job.cancel()


async def test_what_is_to_run_at_once_waits_for_nobody_and_leaves_no_process_behind(
    pool: CutterPool, endless: PlaceholderOrder, order: CutOrder
) -> None:
    running = [asyncio.create_task(pool.run(replace(endless, frames=LONG + extra))) for extra in range(2)]
    async with asyncio.timeout(60):
        while len(pool.pids) < 2:  # noqa: ASYNC110 - the pool has no need to tell anyone
            await asyncio.sleep(0.01)
    busy = pool.pids
    assert (await pool.run_at_once(replace(endless, frames=5))).frames == 5
    assert pool.pids == busy
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert (await pool.run(order)).frames == 25


async def test_a_full_disk_is_our_own_fault(pool: CutterPool, order: CutOrder, tmp_path: Path) -> None:
    tmp = tmp_path / "clips" / ".tmp"
    tmp.rmdir()
    tmp.write_text("a file where the folder should be")
    with pytest.raises(OwnFaultError, match="artifacts disk"):
        await pool.run(order)


async def test_two_workers_may_store_the_same_clip(order: CutOrder, tmp_path: Path, sandbox: Sandbox) -> None:
    clips = tmp_path / "clips"
    async with CutterPool(1, clips, sandbox) as one, CutterPool(1, clips, sandbox) as other:
        first, second = await asyncio.gather(one.run(order), other.run(order))
    assert first.sha256 == second.sha256
    assert [path.name for path in (tmp_path / "clips").glob("*.mp4")] == [f"{first.sha256}.mp4"]
    assert ClipStore(tmp_path / "clips").sweep() == 0
