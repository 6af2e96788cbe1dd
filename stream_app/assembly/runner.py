"""Assemble a mix outside the event loop, in a process of its own that always ends."""

import asyncio
import contextlib
import os
import signal
import sys

from pydantic import ValidationError

from stream_app.assembly.order import Assembled, AssembleOrder
from stream_app.assembly.outcome import Outcome
from stream_app.child_process import STDERR_TAIL, TERM_GRACE_S
from stream_app.domain.errors import MixError, OwnFaultError
from topics.reasons import MixFailure


async def run_assembly(order: AssembleOrder, *, timeout_s: float) -> Assembled:
    """Assemble `order` in a child process and wait for it.

    However this ends (cancelled and killed included), neither the child nor an encoder of it outlives it.

    Raises:
        MixError: the mix cannot be made, or not within `timeout_s` (`join_failed`).
        OwnFaultError: our disk, memory or the child itself did not suffice; try again later.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stream_app.assembly.child",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise OwnFaultError(f"no process for the join could be started: {error}") from error
    try:
        async with asyncio.timeout(timeout_s):
            told, complaints = await process.communicate(order.model_dump_json().encode())
    except TimeoutError as error:
        message = f"the join of {len(order.parts)} parts did not end within {timeout_s} s"
        raise MixError(MixFailure.JOIN_FAILED, message) from error
    finally:
        await _end(process)
    return _outcome(process.returncode, told, complaints).result()


def _outcome(returncode: int | None, told: bytes, complaints: bytes) -> Outcome:
    try:
        return Outcome.model_validate_json(told)
    except ValidationError:
        last_words = complaints.decode(errors="replace").strip()[-STDERR_TAIL:]
        message = f"the join's process ended with status {returncode}: {last_words}"
        # Killed from outside, as the kernel does when memory runs out: nothing that the mix did.
        killed = returncode in (-signal.SIGKILL, -signal.SIGTERM)
        return Outcome(failure=None if killed else MixFailure.JOIN_FAILED, message=message)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the child and its group if it still runs: TERM, two seconds, KILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TERM_GRACE_S):
                await process.wait()
