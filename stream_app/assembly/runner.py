"""The processes that join: outside the event loop, warm, one mix at a time each, and always ended."""

import asyncio
import contextlib
import os
import signal
import sys
from typing import Self

from pydantic import ValidationError

from stream_app.assembly.order import Assembled, AssembleOrder, SongOrder
from stream_app.assembly.outcome import Order, Outcome
from stream_app.child_process import TERM_GRACE_S
from stream_app.domain.errors import MixError, OwnFaultError
from topics.reasons import MixFailure

AT_ONCE = 2
"""A join is mostly reading and writing: more at a time would only share the disk."""

MAX_ANSWER_BYTES = 1 << 20


class JoinProcesses:
    """Does orders in at most `AT_ONCE` processes; further ones wait in order of arrival.

    Use it from one event loop, in a thread that lives as long: on Linux the processes end with it.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._idle: list[asyncio.subprocess.Process] = []

    async def assemble(self, order: AssembleOrder, *, timeout_s: float) -> Assembled:
        """Make the video of a mix.

        However this ends (cancelled and killed included), neither a process that was at work nor an encoder
        of it goes on.

        Args:
            order: what to make.
            timeout_s: how long it may take, from when a process takes it.

        Raises:
            MixError: the mix cannot be made, or not within `timeout_s` (`join_failed`).
            OwnFaultError: our disk, memory or the process itself did not suffice; try again later.
        """
        assembled = await self._run(order, timeout_s)
        if assembled is None:
            raise OwnFaultError("the process of the join did not say what it made")
        return assembled

    async def prepare_song(self, order: SongOrder, *, timeout_s: float) -> None:
        """Have the sound of a mix ready before it is joined; otherwise as `assemble`."""
        await self._run(order, timeout_s)

    async def _run(self, order: Order, timeout_s: float) -> Assembled | None:
        async with self._turns:
            process, told = await self._take(), b""
            try:
                async with asyncio.timeout(timeout_s):
                    told = await _ask(process, order)
            except TimeoutError as error:
                message = f"the join did not end within {timeout_s} s"
                raise MixError(MixFailure.JOIN_FAILED, message) from error
            finally:
                await self._give_back(process, answered=bool(told))
        return _outcome(told, process.returncode).result()

    async def _take(self) -> asyncio.subprocess.Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        return await _start()

    async def _give_back(self, process: asyncio.subprocess.Process, *, answered: bool) -> None:
        if answered and process.returncode is None:
            self._idle.append(process)
        else:
            await _end(process)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the idle processes; those at work end with their calls."""
        await asyncio.gather(*map(_end, self._idle))
        self._idle.clear()


async def _start() -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stream_app.assembly.child",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_ANSWER_BYTES,
            start_new_session=True,
        )
    except OSError as error:
        raise OwnFaultError(f"no process for the join could be started: {error}") from error


async def _ask(process: asyncio.subprocess.Process, order: Order) -> bytes:
    """The line that answers; nothing when the process ended."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError("it was started with pipes")
    # A process that is gone shows when its answer is read.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(order.model_dump_json().encode() + b"\n")
        await process.stdin.drain()
    return await process.stdout.readline()


def _outcome(told: bytes, status: int | None) -> Outcome:
    try:
        return Outcome.model_validate_json(told)
    except ValidationError:
        message = f"the join's process ended with status {status}; see its error in the log"
        # Killed from outside, as the kernel does when memory runs out: nothing that the mix did.
        killed = status in (-signal.SIGKILL, -signal.SIGTERM)
        return Outcome(failure=None if killed else MixFailure.JOIN_FAILED, message=message)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and its group if it still runs: TERM, two seconds, KILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TERM_GRACE_S):
                await process.wait()
