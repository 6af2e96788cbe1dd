"""A cutting process and what it started end with the worker, and when it is told to, whatever they do."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from stream_app.cutting.orders import CutOrder
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.terms import Isolation
from stream_app.sources.source_file import SourceFile
from tests.integration.assembly.process_watch import descendants, wait_for_encoder
from tests.integration.cutting.sandboxes import LEVELS, sandbox_of
from topics.profile import RenderProfile

PATIENCE_S = 30
GONE_WITHIN_S = 5.0


@pytest.fixture
def slow_ffmpeg(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ffmpeg, reading no faster than its input plays."""
    program = tmp_path_factory.mktemp("bin") / "slow-ffmpeg"
    program.write_text(f'#!/bin/sh\nexec {get_ffmpeg_exe()} -re "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))


@pytest.fixture(scope="session")
def long_stream(footage: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transport stream of a minute."""
    kind = footage.Kind(suffix="ts", frames=600, rate=Fraction(10))
    path: Path = footage.make(kind, tmp_path_factory.mktemp("long") / "long.ts").path
    return path


def see_gone(pids: set[int], seconds: float) -> None:
    """Wait until all have ended; the kernel tells also of those that are not our children."""
    end = time.monotonic() + seconds
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], max(0.0, end - time.monotonic()))[0], f"{pid} is there"
        finally:
            os.close(handle)


def wait_for_a_file(folder: Path) -> None:
    """Until something is written there; nobody tells us."""
    end = time.monotonic() + PATIENCE_S
    while not any(folder.iterdir()):
        assert time.monotonic() < end, f"nothing came into {folder}"
        select.select([], [], [], 0.01)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.usefixtures("slow_ffmpeg")
async def test_cancelling_ends_the_ffmpeg_too(
    level: Isolation, small: RenderProfile, long_stream: Path, tmp_path: Path
) -> None:
    sandbox = sandbox_of(level, tmp_path, long_stream.parent)
    order = CutOrder(SourceFile(long_stream), 0, 20, 0, small)
    async with CutterPool(1, tmp_path / "clips", sandbox) as pool:
        others = descendants(os.getpid())
        job = asyncio.create_task(pool.run(order))
        family = await asyncio.to_thread(wait_for_encoder, os.getpid(), others)
        await asyncio.to_thread(wait_for_a_file, tmp_path / "clips" / ".tmp")
        job.cancel()
        await asyncio.to_thread(see_gone, family, GONE_WITHIN_S)
    assert list((tmp_path / "clips" / ".tmp").iterdir()) == []


WORKER = """
import asyncio, sys
from pathlib import Path
from stream_app.cutting.orders import CutOrder, PlaceholderOrder
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.sandbox import find_sandbox
from stream_app.settings import Settings
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile

async def main():
    settings = Settings(_env_file=None)
    pool = CutterPool(2, settings.clips_dir, find_sandbox(settings))
    profile = RenderProfile(width=320, height=180)
    rebased = CutOrder(SourceFile(Path(sys.argv[1])), 0, 20, 0, profile)
    endless = PlaceholderOrder(None, 10**6, profile)
    jobs = [asyncio.create_task(pool.run(order)) for order in (rebased, endless)]
    while len(pool.pids) < 2:
        await asyncio.sleep(0.01)
    print("busy", flush=True)
    await asyncio.gather(*jobs)

asyncio.run(main())
"""


@pytest.mark.parametrize("before", ["", "stopped"], ids=["running", "stopped"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.usefixtures("slow_ffmpeg")
def test_nothing_outlives_a_killed_worker(
    level: Isolation, before: str, long_stream: Path, tmp_path: Path
) -> None:
    sandbox_of(level, tmp_path)
    environment = {
        **os.environ,
        "RENDER_SANDBOX": "strict" if level == "bwrap+rlimits" else "off",
        "RENDER_ARTIFACTS_DIR": str(tmp_path),
        "RENDER_MEDIA_ROOTS": str(long_stream.parent),
    }
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(long_stream)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert worker.stdout is not None
    family: set[int] = set()
    try:
        assert select.select([worker.stdout], [], [], PATIENCE_S)[0]
        assert worker.stdout.readline() == "busy\n"
        family = wait_for_encoder(worker.pid)
        assert len(family) >= 3
        if before == "stopped":
            for pid in family:
                os.kill(pid, signal.SIGSTOP)
    finally:
        worker.kill()
        worker.wait(PATIENCE_S)
    see_gone(family, GONE_WITHIN_S)
