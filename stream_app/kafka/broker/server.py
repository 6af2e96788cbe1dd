"""Start, find and stop the embedded broker."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stream_app.kafka.broker.archive import archive_options, forget_archive, make_archive
from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.jars import fetch_jars
from stream_app.kafka.broker.java import Java, find_java
from stream_app.kafka.broker.jvm import broker_command, storage_tool
from stream_app.kafka.broker.place import BrokerPlace, ProgramPlace
from stream_app.kafka.broker.ports import choose_ports
from stream_app.kafka.broker.process import Run, bootstrap, end, is_alive, last_run, launch
from stream_app.kafka.broker.readiness import answers, wait_until_ready
from stream_app.kafka.broker.storage import LAST_WORDS, cluster_id, format_storage, write_properties
from stream_app.kafka.broker.waiting import Deadline, exclusively
from stream_app.settings import default_home

GIVE_UP_GRACE_S = 5.0
"""For a JVM that did not get ready, from SIGTERM to SIGKILL."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that answers: where, and whether this call started it."""

    bootstrap: str
    pid: int
    data_dir: Path
    started_here: bool


def start(
    home: Path | None = None,
    *,
    cache: Path | None = None,
    timeout_s: float = 120,
    on_progress: Callable[[str], None] | None = None,
) -> Broker:
    """Have a broker that answers; one that runs already is returned as it is.

    It goes on when this process ends: who started it stops it.

    Args:
        home: the folder with the broker's data; without it `default_home()`.
        cache: the folder with Kafka itself, which many homes may share; without it `home`.
        timeout_s: limit of the whole call, with fetching Kafka on the first one.
        on_progress: is told, in a line each, what takes long.

    Raises:
        BrokerError: there is no Java, Kafka could not be fetched, or it did not start.
    """
    home = home or default_home()
    tell = on_progress or _say_nothing
    place, program = BrokerPlace.under(home), ProgramPlace.under(cache or home)
    deadline = Deadline(timeout_s)
    with exclusively(place.lock, deadline):
        run = last_run(place)
        if run is not None and (joined := _join(place, run, deadline)):
            return joined
        java = find_java()
        with exclusively(program.lock, deadline):
            fetch_jars(program, deadline, tell)
            make_archive(program, java, deadline, tell)
        return _start(place, program, java, deadline)


def stop(home: Path | None = None, *, timeout_s: float = 30) -> bool:
    """End the broker; its data stay. Says whether one was running.

    Args:
        home: the folder with the broker's data; without it `default_home()`.
        timeout_s: for a clean end; after that it is killed, which loses nothing that it has acknowledged.

    Raises:
        BrokerError: a start is going on and did not end, or the process cannot be ended.
    """
    place = BrokerPlace.under(home or default_home())
    if not place.root.exists():
        return False
    with exclusively(place.lock, Deadline(timeout_s)):
        run = last_run(place)
        if run is None or not is_alive(place, run):
            return False
        end(place, run, timeout_s=timeout_s)
        return True


def status(home: Path | None = None) -> Broker | None:
    """The broker if it runs and answers."""
    place = BrokerPlace.under(home or default_home())
    run = last_run(place)
    if run is None or not is_alive(place, run) or not answers(run.ports.clients, cluster_id(place)):
        return None
    return _broker(place, run, started_here=False)


def _join(place: BrokerPlace, run: Run, deadline: Deadline) -> Broker | None:
    """The broker of the last start; nothing when it is gone, or goes while we wait for its answer."""
    if not is_alive(place, run):
        return None
    if _gets_ready(place, run, deadline):
        return _broker(place, run, started_here=False)
    if not is_alive(place, run):
        return None
    raise BrokerError(
        f"Kafka runs as process {run.pid} but does not answer: type `clipfold kafka stop`, then start it "
        f"again. Its log is {place.log}"
    )


def _start(place: BrokerPlace, program: ProgramPlace, java: Java, deadline: Deadline) -> Broker:
    """Start it with the class archive if there is one, and if that fails once more without."""
    if place.log.exists():
        place.log.replace(place.log.with_suffix(".log.1"))
    previous = last_run(place)
    options = archive_options(program, java)
    if not options:
        return _try(place, program, java, previous=previous, deadline=deadline)
    with suppress(BrokerError):
        half = Deadline(deadline.left() / 2)
        return _try(place, program, java, *options, previous=previous, deadline=half)
    started = _try(place, program, java, previous=previous, deadline=deadline)
    # Only now is it known that the archive was to blame, not the data or the machine.
    forget_archive(program, java)
    return started


def _try(
    place: BrokerPlace,
    program: ProgramPlace,
    java: Java,
    *options: str,
    previous: Run | None,
    deadline: Deadline,
) -> Broker:
    ports = choose_ports(previous.ports if previous else None)
    format_storage(place, storage_tool(java, program, *options), ports, deadline)
    write_properties(place, ports)
    run = launch(place, broker_command(java, program, place, *options), ports)
    if not _becomes_ready(place, run, deadline):
        raise BrokerError(f"Kafka did not start; the end of its log {place.log} is:\n{_tail(place.log)}")
    return _broker(place, run, started_here=True)


def _becomes_ready(place: BrokerPlace, run: Run, deadline: Deadline) -> bool:
    """Whether it got ready; if not, or if we are interrupted, no process is left."""
    ready = False
    try:
        ready = _gets_ready(place, run, deadline)
    finally:
        if not ready:
            end(place, run, timeout_s=GIVE_UP_GRACE_S)
    return ready


def _gets_ready(place: BrokerPlace, run: Run, deadline: Deadline) -> bool:
    return wait_until_ready(run.ports.clients, cluster_id(place), lambda: is_alive(place, run), deadline)


def _broker(place: BrokerPlace, run: Run, *, started_here: bool) -> Broker:
    return Broker(bootstrap(run.ports), run.pid, place.data, started_here)


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:].strip() or "(empty)"


def _say_nothing(_message: str) -> None:
    """Nobody asked."""
