"""Run another program so that it always ends: with a time limit, and never outliving whoever started it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TERM_GRACE_S = 2.0
"""From asking a program to end to making it end."""

STDERR_TAIL = 2000
"""Characters of stderr kept: enough for ffmpeg's last words, little enough for an event."""

_PR_SET_PDEATHSIG = 1
_prctl: Callable[..., int] | None = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class TimeLimitError(Exception):
    """The program ran longer than it was allowed; it and its children are gone."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit status (below 0: the signal that killed it) and its last words."""

    returncode: int
    stderr: str


def die_with_parent(parent_pid: int | None = None) -> None:
    """Have the kernel kill this process when the one that started it ends, however it ends.

    The kernel means the thread that started it: that one has to live as long as the process is wanted.

    Args:
        parent_pid: who started it; when that one is gone already, this process ends at once. Without it
            a parent that died before this call is not noticed.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(1)


def run_to_end(argv: Sequence[str], *, timeout_s: float, stderr_chars: int = STDERR_TAIL) -> Ended:
    """Run `argv` in a process group of its own and wait for its end; its stdout is thrown away.

    Call it from a process whose other Python threads hold no locks that matter, such as a child made for
    the job: the new process runs a little Python of ours before it becomes `argv`.

    Args:
        argv: the program and its arguments.
        timeout_s: how long it may run.
        stderr_chars: how much of the end of its stderr is kept.

    Raises:
        TimeLimitError: it was still running after `timeout_s`, and has been killed with its group.
        OSError: it could not be started.
    """
    parent = os.getpid()
    # A file, not a pipe: a program that writes much or leaves a grandchild behind can then block nobody.
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - no other way to outlive no parent
        )
        try:
            returncode = process.wait(timeout_s)
        except subprocess.TimeoutExpired as expired:
            raise TimeLimitError(f"{argv[0]} was still running after {timeout_s} s") from expired
        finally:
            end_group(process)
        return Ended(returncode, _tail(stderr.fileno(), stderr_chars))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its group, and all of the group: TERM, two seconds, KILL."""
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERM_GRACE_S)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait(TERM_GRACE_S)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _tail(descriptor: int, most: int) -> str:
    size = os.fstat(descriptor).st_size
    wanted = min(size, most)
    return os.pread(descriptor, wanted, size - wanted).decode(errors="replace").strip()
