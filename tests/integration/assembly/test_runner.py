"""The process of a join tells what came of it, and always ends."""

import asyncio
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from stream_app.assembly.assemble import assemble_mix
from stream_app.assembly.order import AssembleOrder, Part
from stream_app.assembly.runner import run_assembly
from stream_app.domain.errors import MixError, OwnFaultError
from tests.integration.assembly.numbered_media import small_profile, write_parts
from tests.integration.assembly.process_watch import descendants, wait_for_encoder, wait_for_end
from topics.requests import Song

HOUR_S = 3600


@pytest.fixture
def order(tmp_path: Path) -> AssembleOrder:
    profile = small_profile()
    return AssembleOrder(
        mix_id="demo-1",
        revision=1,
        profile=profile,
        parts=(*write_parts(tmp_path / "clips", (4, 5), profile), Part(kind="filler", frames=3)),
        mixes_dir=tmp_path / "mixes",
        songs_dir=tmp_path / "songs",
    )


@pytest.fixture
def long_order(order: AssembleOrder, tmp_path: Path) -> AssembleOrder:
    """A mix of an hour with a silent song, which is a hole on the disk: its encoder takes its time."""
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.setnframes(8000 * HOUR_S)
        file.writeframesraw(b"\x80")
    os.truncate(path, 44 + 8000 * HOUR_S)
    parts = (*order.parts, Part(kind="filler", frames=30 * HOUR_S))
    return order.model_copy(update={"song": Song(uri="long.wav"), "song_path": path, "parts": parts})


async def test_the_child_gives_what_a_call_gives(order: AssembleOrder) -> None:
    assembled = await run_assembly(order, timeout_s=60)
    assert assembled.path.stat().st_size == assembled.bytes
    assert assembled == assemble_mix(order)


async def test_two_at_a_time_do_not_disturb_one_another(order: AssembleOrder) -> None:
    first, second = await asyncio.gather(*(run_assembly(order, timeout_s=60) for _ in range(2)))
    assert first == second
    assert sorted(path.name for path in order.out_dir.iterdir()) == ["manifest.json", "video.mp4"]


async def test_a_failure_crosses_the_border(order: AssembleOrder) -> None:
    bad = order.model_copy(update={"song": Song(uri="gone.wav"), "song_path": Path("gone.wav")})
    with pytest.raises(MixError, match=r"gone\.wav cannot be read") as failed:
        await run_assembly(bad, timeout_s=60)
    assert failed.value.reason == "song_unavailable"


async def test_a_fault_of_our_own_is_none_of_the_mix(order: AssembleOrder, tmp_path: Path) -> None:
    (tmp_path / "mixes").write_text("a file where the folder should be")
    with pytest.raises(OwnFaultError, match="demo-1 could not be written"):
        await run_assembly(order, timeout_s=60)


async def test_a_child_killed_from_outside_is_none_of_the_mix(long_order: AssembleOrder) -> None:
    others = descendants(os.getpid())
    running = asyncio.create_task(run_assembly(long_order, timeout_s=60))
    family = await asyncio.to_thread(wait_for_encoder, os.getpid(), others)
    child = min(family)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(OwnFaultError, match="status -9"):
        await running
    assert all([await asyncio.to_thread(wait_for_end, pid) for pid in family])


async def test_the_time_limit_ends_the_child_and_its_encoder(long_order: AssembleOrder) -> None:
    others = descendants(os.getpid())
    running = asyncio.create_task(run_assembly(long_order, timeout_s=10))
    family = await asyncio.to_thread(wait_for_encoder, os.getpid(), others)
    with pytest.raises(MixError, match="did not end within 10 s") as failed:
        await running
    assert failed.value.reason == "join_failed"
    assert all([await asyncio.to_thread(wait_for_end, pid) for pid in family])
    assert list(long_order.out_dir.iterdir()) == []


async def test_cancelling_ends_the_child_and_its_encoder(long_order: AssembleOrder) -> None:
    others = descendants(os.getpid())
    running = asyncio.create_task(run_assembly(long_order, timeout_s=60))
    family = await asyncio.to_thread(wait_for_encoder, os.getpid(), others)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all([await asyncio.to_thread(wait_for_end, pid) for pid in family])
    assert list(long_order.out_dir.iterdir()) == []


PARENT = """
import asyncio, sys
from stream_app.assembly.order import AssembleOrder
from stream_app.assembly.runner import run_assembly
order = AssembleOrder.model_validate_json(sys.stdin.buffer.read())
asyncio.run(run_assembly(order, timeout_s=60))
"""


def test_a_killed_parent_leaves_no_process(long_order: AssembleOrder) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE) as parent:
        assert parent.stdin
        parent.stdin.write(long_order.model_dump_json().encode())
        parent.stdin.close()
        family = wait_for_encoder(parent.pid)
        assert len(family) == 2
        parent.kill()
        assert all(wait_for_end(pid) for pid in family)
    assert not descendants(os.getpid()) & family
