import asyncio
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
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
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5).close()


def test_nothing_runs_where_nothing_was_started(home: Path) -> None:
    assert broker.status(home) is None
    assert not broker.stop(home)
    assert not home.exists()


def two_ports_outside_the_systems_choice() -> tuple[int, int]:
    """Free ones that no other process can be given by chance, as 0 gives any."""
    free: list[int] = []
    for port in range(21_000, 32_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            free.append(port)
        if len(free) == 2:
            break
    one, other = free
    return one, other


def test_a_restart_keeps_the_ports_unless_somebody_has_them(home: Path, start: Start) -> None:
    start()
    broker.stop(home)
    run_file = home / "broker" / "run.json"
    run = json.loads(run_file.read_text())
    wanted = run["port"], run["controller_port"] = two_ports_outside_the_systems_choice()
    run_file.write_text(json.dumps(run))
    kept = start()
    kept_run = run_file.read_text()
    broker.stop(home)
    with ExitStack() as held:
        for name in ("port", "controller_port"):
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            run[name] = listener.getsockname()[1]
        run_file.write_text(json.dumps(run))
        elsewhere = start()
        status = broker.status(home)

    assert kept.bootstrap == f"127.0.0.1:{wanted[0]}"
    assert json.loads(kept_run)["controller_port"] == wanted[1]
    assert elsewhere.bootstrap != f"127.0.0.1:{run['port']}"
    assert status is not None


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
