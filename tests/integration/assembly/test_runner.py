"""The process of a join tells what came of it, and always ends."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stream_app.assembly.assemble import assemble_mix
from stream_app.assembly.order import AssembleOrder, Part, SongOrder
from stream_app.assembly.runner import JoinProcesses
from stream_app.domain.errors import MixError, OwnFaultError
from tests.integration.assembly.numbered_media import small_profile, write_clicks, write_parts
from tests.integration.assembly.process_watch import descendants, wait_for_encoder, wait_for_end
from topics.requests import Song

SONG_S = 1200


@pytest.fixture
def order(tmp_path: Path) -> AssembleOrder:
    profile = small_profile(fps="1")
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
    """A mix of twenty minutes with a song of noise: its encoder takes its time, and all else is soon done."""
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(random.Random(1).randbytes(8000 * SONG_S))  # noqa: S311
    parts = (*order.parts, Part(kind="filler", frames=SONG_S))
    return order.model_copy(update={"song": Song(uri="long.wav"), "song_path": path, "parts": parts})


@pytest.fixture
async def processes() -> AsyncIterator[JoinProcesses]:
    async with JoinProcesses() as warm:
        yield warm


async def test_the_child_gives_what_a_call_gives(processes: JoinProcesses, order: AssembleOrder) -> None:
    assembled = await processes.assemble(order, timeout_s=60)
    assert assembled.path.stat().st_size == assembled.bytes
    assert assembled == assemble_mix(order)


async def test_a_process_is_used_again(processes: JoinProcesses, order: AssembleOrder) -> None:
    others = descendants(os.getpid())
    await processes.assemble(order, timeout_s=60)
    (first,) = descendants(os.getpid()) - others
    await processes.assemble(order, timeout_s=60)
    assert descendants(os.getpid()) - others == {first}


async def test_a_song_that_was_prepared_is_not_encoded_again(
    processes: JoinProcesses, order: AssembleOrder, tmp_path: Path
) -> None:
    path = write_clicks(tmp_path / "song.mp3", (100, 200), 900)
    song = Song(uri="song.mp3", offset_ms=20)
    ahead = SongOrder(
        song=song, song_path=path, frames=order.frames, profile=order.profile, songs_dir=order.songs_dir
    )
    await processes.prepare_song(ahead, timeout_s=60)
    (kept,) = order.songs_dir.glob("*.mp4")
    before = kept.stat().st_ino
    order = order.model_copy(update={"song": song, "song_path": path})
    assert await processes.assemble(order, timeout_s=60)
    assert [(kept, before)] == [(made, made.stat().st_ino) for made in order.songs_dir.glob("*.mp4")]


async def test_two_at_a_time_do_not_disturb_one_another(
    processes: JoinProcesses, order: AssembleOrder
) -> None:
    first, second = await asyncio.gather(*(processes.assemble(order, timeout_s=60) for _ in range(2)))
    assert first == second
    assert sorted(path.name for path in order.out_dir.iterdir()) == ["manifest.json", "video.mp4"]


async def test_a_failure_crosses_the_border(processes: JoinProcesses, order: AssembleOrder) -> None:
    bad = order.model_copy(update={"song": Song(uri="gone.wav"), "song_path": Path("gone.wav")})
    with pytest.raises(MixError, match=r"gone\.wav cannot be read") as failed:
        await processes.assemble(bad, timeout_s=60)
    assert failed.value.reason == "song_unavailable"


async def test_a_fault_of_our_own_is_none_of_the_mix(
    processes: JoinProcesses, order: AssembleOrder, tmp_path: Path
) -> None:
    (tmp_path / "mixes").write_text("a file where the folder should be")
    with pytest.raises(OwnFaultError, match="demo-1 could not be written"):
        await processes.assemble(order, timeout_s=60)


async def test_a_child_killed_from_outside_is_none_of_the_mix(
    processes: JoinProcesses, long_order: AssembleOrder
) -> None:
    others = descendants(os.getpid())
    running = asyncio.create_task(processes.assemble(long_order, timeout_s=60))
    family = await asyncio.to_thread(wait_for_encoder, os.getpid(), others)
    child = min(family)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(OwnFaultError, match="status -9"):
        await running
    assert all([await asyncio.to_thread(wait_for_end, pid) for pid in family])


async def test_the_time_limit_ends_the_child_and_its_encoder(
    processes: JoinProcesses, long_order: AssembleOrder
) -> None:
    others = descendants(os.getpid())
    running = asyncio.create_task(processes.assemble(long_order, timeout_s=6))
    family = await asyncio.to_thread(wait_for_encoder, os.getpid(), others)
    with pytest.raises(MixError, match="did not end within 6 s") as failed:
        await running
    assert failed.value.reason == "join_failed"
    assert all([await asyncio.to_thread(wait_for_end, pid) for pid in family])
    assert list(long_order.out_dir.iterdir()) == []


async def test_cancelling_ends_the_child_and_its_encoder(
    processes: JoinProcesses, long_order: AssembleOrder
) -> None:
    others = descendants(os.getpid())
    running = asyncio.create_task(processes.assemble(long_order, timeout_s=60))
    family = await asyncio.to_thread(wait_for_encoder, os.getpid(), others)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all([await asyncio.to_thread(wait_for_end, pid) for pid in family])
    assert list(long_order.out_dir.iterdir()) == []


PARENT = """
import asyncio, sys
from stream_app.assembly.order import AssembleOrder
from stream_app.assembly.runner import JoinProcesses
order = AssembleOrder.model_validate_json(sys.stdin.buffer.read())
asyncio.run(JoinProcesses().assemble(order, timeout_s=60))
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
