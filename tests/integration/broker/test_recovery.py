import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream_app.kafka import broker
from stream_app.kafka.broker.archive import archive_path, make_archive
from stream_app.kafka.broker.jars import fetch_jars
from stream_app.kafka.broker.java import find_java
from stream_app.kafka.broker.place import ProgramPlace
from stream_app.kafka.broker.waiting import Deadline, exclusively

Start = Callable[[], broker.Broker]


async def test_what_was_acknowledged_survives_a_killed_broker(
    home: Path,
    start: Start,
    kill: Callable[[int], None],
    songs: Any,
) -> None:
    first = await asyncio.to_thread(start)
    await songs.create(first.bootstrap)
    await songs.append(first.bootstrap, b"a song")

    kill(first.pid)
    assert broker.status(home) is None
    second = await asyncio.to_thread(start)

    assert second.started_here
    assert second.pid != first.pid
    assert second.bootstrap == first.bootstrap
    assert await songs.first(second.bootstrap) == b"a song"


def test_another_program_with_the_noted_process_id_is_never_signalled(home: Path, start: Start) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        run_file = home / "broker" / "run.json"
        run_file.parent.mkdir(parents=True)
        run_file.write_text(json.dumps({"pid": stranger.pid, "port": 1, "controller_port": 2}))

        assert broker.status(home) is None
        assert not broker.stop(home)
        assert start().pid != stranger.pid
        assert broker.stop(home)

        assert stranger.poll() is None
        stranger.communicate(b"\n", timeout=10)
        assert stranger.returncode == 0


def test_a_first_start_that_was_killed_while_formatting_is_made_good(home: Path, start: Start) -> None:
    (home / "broker" / "data").mkdir(parents=True)
    (home / "broker" / "data.formatting").mkdir()
    (home / "broker" / "data.formatting" / "bootstrap.checkpoint").write_bytes(b"half")
    (home / "broker" / "run.json").write_text('{"pid": ')

    assert start().started_here


@pytest.fixture(scope="module")
def program() -> ProgramPlace:
    """Kafka and its class archive, as the first start on a machine makes them."""
    place, deadline = ProgramPlace.under(broker.default_home()), Deadline(300)
    with exclusively(place.lock, deadline):
        fetch_jars(place, deadline, print)
        make_archive(place, find_java(), deadline, print)
    return place


@pytest.mark.parametrize("damage", ["garbage", "cut", "flipped"])
def test_a_broken_class_archive_does_not_prevent_a_start(
    home: Path, program: ProgramPlace, damage: str
) -> None:
    own, java = ProgramPlace.under(home), find_java()
    own.root.mkdir(parents=True)
    own.lib.symlink_to(program.lib)
    archive_path(own, java).write_bytes(_damaged(archive_path(program, java).read_bytes(), damage))

    assert broker.start(home).started_here


def _damaged(archive: bytes, damage: str) -> bytes:
    middle = len(archive) // 2
    if damage == "garbage":
        return b"no archive at all"
    if damage == "cut":
        return archive[:middle]
    flipped = bytes(each ^ 0xFF for each in archive[middle : middle + 2**20])
    return archive[:middle] + flipped + archive[middle + 2**20 :]
