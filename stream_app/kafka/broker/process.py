"""The broker's process: start it so that it outlives us, know it again, end it and no other."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.place import BrokerPlace
from stream_app.kafka.broker.properties import Ports
from stream_app.kafka.broker.waiting import POLL_S, Deadline

MAIN_CLASS = "kafka.Kafka"
KILL_WAIT_S = 10.0
"""From SIGKILL to the end of a process that the kernel may still be writing for."""

# The shell ends at once, so the JVM is nobody's child here: nobody has to reap it. The shell also notes
# the process id by itself, because we could be killed between the start and the note; without a note
# (the disk is full) there must be no JVM. It uses nothing from the PATH.
_LAUNCH = 'note=$1 file=$2; shift 2; "$@" & printf "$note" $! >"$file" || { kill $!; exit 1; }'
LAUNCH_TIMEOUT_S = 20.0

EXEC_POLL_S = 0.001
EXEC_WAIT_S = 5.0
"""A process has no command line while the kernel puts another program into it: far less than a millisecond,
but a machine that is busy may stop it just there."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the last start left in the run file; whether it still runs is another question."""

    pid: int
    ports: Ports


def launch(place: BrokerPlace, command: list[str], ports: Ports) -> Run:
    """Start the JVM in a session of its own, its output going to the log, and note it in the run file."""
    facts = {"port": ports.clients, "controller_port": ports.controller, "bootstrap": bootstrap(ports)}
    note = f'{{"pid": %d, {json.dumps(facts)[1:]}\n'
    place.run_file.unlink(missing_ok=True)
    with place.log.open("ab") as log:
        noted = subprocess.run(
            ["/bin/sh", "-c", _LAUNCH, "sh", note, place.run_file, *command],
            cwd=place.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            timeout=LAUNCH_TIMEOUT_S,
            check=False,
        )
    run = last_run(place)
    if noted.returncode != 0 or run is None:
        raise BrokerError(f"the start of Kafka could not be noted in {place.run_file}")
    return run


def bootstrap(ports: Ports) -> str:
    """What a client is told."""
    return f"127.0.0.1:{ports.clients}"


def last_run(place: BrokerPlace) -> Run | None:
    """What the run file says, if there is one that can be read."""
    try:
        facts = json.loads(place.run_file.read_text(encoding="utf-8"))
        return Run(int(facts["pid"]), Ports(int(facts["port"]), int(facts["controller_port"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(place: BrokerPlace, run: Run) -> bool:
    """Whether that process runs and is the broker of this place, not one that got its number since."""
    return _command_line(run.pid).endswith(f" {MAIN_CLASS} {place.properties}")


def end(runs: Mapping[BrokerPlace, Run], *, timeout_s: float) -> None:
    """End brokers, all at once: SIGTERM, a wait, SIGKILL. Their ports and files are free afterwards.

    Raises:
        BrokerError: one is there even after SIGKILL.
    """
    with ExitStack() as handles:
        left = {place: (run, handles.enter_context(_watched(run.pid))) for place, run in runs.items()}
        for number, limit_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, KILL_WAIT_S)):
            left = {place: (run, handle) for place, (run, handle) in left.items() if is_alive(place, run)}
            for run, _ in left.values():
                with suppress(ProcessLookupError):
                    os.kill(run.pid, number)
            deadline = Deadline(limit_s)
            left = {
                place: (run, handle)
                for place, (run, handle) in left.items()
                if not _ends(place, run, handle, deadline)
            }
    if left:
        pids = ", ".join(str(run.pid) for run, _ in left.values())
        raise BrokerError(f"Kafka, process {pids}, did not end within {KILL_WAIT_S:.0f} s of SIGKILL")


@contextmanager
def _watched(pid: int) -> Iterator[int | None]:
    """A handle of the process that shows its end; None where the system has no such thing."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, AttributeError):
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _ends(place: BrokerPlace, run: Run, process: int | None, deadline: Deadline) -> bool:
    if process is not None:
        # A process that is ending has no command line any more, and still its ports and files.
        return bool(select.select([process], [], [], deadline.left())[0])
    while is_alive(place, run) and not deadline.passed():
        time.sleep(POLL_S)
    return not is_alive(place, run)


def _command_line(pid: int) -> str:
    """The arguments of a process, a space between them; empty when it has ended, reaped or not."""
    if pid <= 0:
        return ""
    if sys.platform == "linux":
        deadline = Deadline(EXEC_WAIT_S)
        while not (line := _arguments(pid)) and _has_not_ended(pid) and not deadline.passed():
            time.sleep(EXEC_POLL_S)
        return line
    listed = subprocess.run(
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        timeout=LAUNCH_TIMEOUT_S,
        check=False,
        text=True,
    )
    return listed.stdout.rstrip()


def _arguments(pid: int) -> str:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return os.fsdecode(b" ".join(arguments))


def _has_not_ended(pid: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in {b"Z", b"X"}
