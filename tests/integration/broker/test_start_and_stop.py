import asyncio
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream_app.kafka import broker
from topics.codec import MAX_RECORD_BYTES

Start = Callable[[], broker.Broker]


async def test_a_broker_takes_and_gives_records_up_to_the_largest(shared_home: Path, songs: Any) -> None:
    running = await asyncio.to_thread(broker.status, shared_home)
    assert running is not None
    largest = os.urandom(MAX_RECORD_BYTES)

    await songs.create(running.bootstrap)
    await songs.append(running.bootstrap, largest)

    assert await songs.first(running.bootstrap) == largest


def test_a_second_start_gives_the_running_broker_at_once(shared_home: Path) -> None:
    running = broker.status(shared_home)
    began = time.monotonic()
    second = broker.start(shared_home, cache=broker.default_home())

    assert time.monotonic() - began < 0.5
    assert second == running
    assert not second.started_here


def test_a_broker_of_another_home_is_never_signalled(shared_home: Path, tmp_path: Path) -> None:
    running = broker.status(shared_home)
    thief = tmp_path / "broker"
    thief.mkdir(parents=True)
    (thief / "run.json").write_bytes((shared_home / "broker" / "run.json").read_bytes())

    assert broker.status(tmp_path) is None
    assert not broker.stop(tmp_path)
    assert broker.status(shared_home) == running


def _start_in_a_process(home: Path, results: "multiprocessing.Queue[tuple[int, bool]]") -> None:
    started = broker.start(home, cache=broker.default_home())
    results.put((started.pid, started.started_here))


def test_two_starts_at_once_make_one_broker_that_outlives_both_and_ends_with_its_stop(
    home: Path, is_running: Callable[[int], bool]
) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, bool]] = context.Queue()
    starters = [context.Process(target=_start_in_a_process, args=(home, results)) for _ in range(2)]
    for starter in starters:
        starter.start()
    (one_pid, one_started), (other_pid, other_started) = (results.get(timeout=60) for _ in starters)
    for starter in starters:
        starter.join(timeout=10)
    assert one_pid == other_pid
    assert sorted([one_started, other_started]) == [False, True]

    running = broker.status(home)
    assert running is not None
    assert running.pid == one_pid
    assert os.getsid(one_pid) != os.getsid(0)

    assert broker.stop(home)
    assert not is_running(one_pid)
    assert broker.status(home) is None
    assert not broker.stop(home)
    host, _, port = running.bootstrap.partition(":")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))


def test_nothing_runs_where_nothing_was_started(home: Path) -> None:
    assert broker.status(home) is None
    assert not broker.stop(home)
    assert not home.exists()


def test_a_restart_keeps_the_ports_unless_somebody_has_them(home: Path, start: Start) -> None:
    first = start()
    broker.stop(home)
    again = start()
    broker.stop(home)
    run = json.loads((home / "broker" / "run.json").read_text())
    with socket.socket() as one, socket.socket() as other:
        for listener, name in ((one, "port"), (other, "controller_port")):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", run[name]))
            listener.listen()
        elsewhere = start()

    assert again.bootstrap == first.bootstrap == run["bootstrap"]
    assert elsewhere.bootstrap != first.bootstrap
    assert broker.status(home) is not None


def test_a_start_that_fails_shows_the_end_of_the_log_and_leaves_no_process(
    home: Path, start: Start, is_running: Callable[[int], bool]
) -> None:
    start()
    broker.stop(home)
    marker = home / "broker" / "data" / "meta.properties"
    marker.write_text(marker.read_text().replace("node.id=1", "node.id=2"))

    with pytest.raises(broker.BrokerError) as failure:
        start()

    assert "broker.log" in str(failure.value)
    assert "node" in str(failure.value).lower()
    assert not is_running(json.loads((home / "broker" / "run.json").read_text())["pid"])
    assert broker.status(home) is None


def test_files_of_others_in_the_data_folder_are_left_alone(home: Path, start: Start) -> None:
    letter = home / "broker" / "data" / "letter.txt"
    letter.parent.mkdir(parents=True)
    letter.write_text("mine")

    with pytest.raises(broker.BrokerError, match="move the folder away"):
        start()

    assert letter.read_text() == "mine"
