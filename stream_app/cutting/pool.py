"""The cutting processes of a worker: warm, reused, one job at a time each, killed when they overrun.

A decoder can crash, hang or swallow memory on a hostile file; here that costs one attempt and nothing else.
The standard library's process pool is not used because one crash breaks it whole, and a job in it cannot be
killed.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self, cast
from weakref import WeakValueDictionary

from stream_app.clip.store import ClipStore
from stream_app.cutting.limits import how_it_ended
from stream_app.cutting.messages import READY, Done, order_line, read_answer
from stream_app.cutting.mounts import View
from stream_app.cutting.orders import (
    ClipOrder,
    CutResult,
    Located,
    LocateOrder,
    MeasureOrder,
    Order,
    Result,
)
from stream_app.cutting.sandbox import Sandbox, find_sandbox
from stream_app.cutting.terms import new_owner
from stream_app.cutting.turns import Turns
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.settings import Settings
from stream_app.sources.source_file import ByteSpan, Need, SourceFile, Times
from topics.reasons import FallbackReason

MAX_ANSWER_BYTES = 1 << 20
"""An answer is one line of about a kilobyte; this bounds what a child that was taken over can make us
hold."""

START_TIMEOUT_S = 60
END_TIMEOUT_S = 10


class CutterPool:
    """Runs orders in at most `size` processes at once.

    Use it from one event loop, in a thread that lives as long as the pool: on Linux the processes die with
    it.

    Args:
        size: how many jobs run at once; more wait their turn in order.
        store_root: the folder `clips` that the processes store into.
        sandbox: how they are started.

    Raises:
        OwnFaultError: the folder cannot be made.
    """

    def __init__(self, size: int, store_root: Path, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = ClipStore(store_root)
        self._turns = Turns(size)
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._making: WeakValueDictionary[ClipOrder, asyncio.Lock] = WeakValueDictionary()
        self._closed = False

    async def run(self, order: ClipOrder) -> CutResult:
        """Make the clip of `order` in a process of its own; cancelling the call kills that process.

        Its time limit, `clip_timeout_ms`, starts when a process takes the order, not while it waits its turn.

        Raises:
            SourceError: the source failed; or `cut_failed`, retryable, when the process overran or crashed.
            OwnFaultError: our disk is full, a process cannot be started, or the pool is closed.
        """
        # The same recipe is never made twice: who comes second finds the clip in the store.
        async with self._making.setdefault(order, asyncio.Lock()):
            return cast("CutResult", await self._perform(order))

    async def run_at_once(self, order: ClipOrder) -> CutResult:
        """As `run`, but beside the others: it takes no turn. For what is short and rare."""
        return cast("CutResult", await self._perform_now(order))

    async def locate(self, file: SourceFile, need: Need) -> tuple[ByteSpan, ...] | None:
        """Which bytes of `file` a cut reads; see `Prober`. Errors as those of `run`."""
        return cast("Located", await self._perform(LocateOrder(file, need))).spans

    async def measure(self, path: Path) -> Times:
        """When the video of a file begins and ends; see `Prober`. Errors as those of `run`."""
        return cast("Times", await self._perform(MeasureOrder(path)))

    async def _perform(self, order: Order) -> Result:
        async with self._turns:
            return await self._perform_now(order)

    async def _perform_now(self, order: Order) -> Result:
        child = await self._take()
        try:
            return await _within_limit(child, order)
        except _CrashedError as crash:
            if self._closed:
                raise OwnFaultError("the cutting processes were stopped") from crash
            raise SourceError(FallbackReason.CUT_FAILED, str(crash), stage="cut", retryable=True) from crash
        finally:
            self._give_back(child)

    def resize(self, size: int) -> None:
        """Run `size` jobs at once from now on; jobs that run already are not disturbed."""
        self._turns.resize(size)
        while self._idle and len(self._idle) + len(self._busy) > size:
            self._end(self._idle.pop())

    async def close(self) -> None:
        """Kill every process and see it gone; jobs that run fail with OwnFaultError."""
        self._closed = True
        for child in [*self._idle, *self._busy]:
            self._end(child)
        self._idle.clear()
        if self._ending:
            await asyncio.wait(self._ending, timeout=END_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def pids(self) -> frozenset[int]:
        """The processes that are there now, idle or busy."""
        return frozenset(child.pid for child in [*self._idle, *self._busy])

    async def _take(self) -> "_Child":
        while self._idle:
            child = self._idle.pop()
            if child.usable and child.view == self._sandbox.view():
                self._busy.add(child)
                return child
            self._end(child)
        if self._closed:
            raise OwnFaultError("the cutting processes were stopped")
        child = await _Child.start(self._store.root, self._sandbox)
        self._busy.add(child)
        return child

    def _give_back(self, child: "_Child") -> None:
        self._busy.discard(child)
        if child.usable and not self._closed and len(self._idle) + len(self._busy) < self._turns.size:
            self._idle.append(child)
        else:
            self._end(child)

    def _end(self, child: "_Child") -> None:
        child.kill()
        task = asyncio.get_running_loop().create_task(self._bury(child))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _bury(self, child: "_Child") -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT_S):
                await child.gone()
        # What it was writing is of no use to anyone, and its disk space is.
        await asyncio.to_thread(self._store.discard_of, child.owner)


class _CrashedError(Exception):
    """The process ended, overran or answered nonsense."""


class _Child:
    """One cutting process; `usable` while it can take the next order, with what it can see of our files."""

    def __init__(self, process: asyncio.subprocess.Process, owner: str, view: View) -> None:
        self._process = process
        self._asked = False
        self._reading = asyncio.Lock()
        self.pid = process.pid
        self.owner = owner
        self.view = view

    @classmethod
    async def start(cls, store_root: Path, sandbox: Sandbox) -> "_Child":
        # Made again when it was removed: only a folder that is there can be seen inside.
        ClipStore(store_root)
        owner, view = new_owner(), sandbox.view()
        try:
            process = await asyncio.create_subprocess_exec(
                *sandbox.command(store_root, owner),
                env=sandbox.environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=MAX_ANSWER_BYTES,
                start_new_session=True,
            )
        except OSError as error:
            raise OwnFaultError(f"cannot start a cutting process: {error.strerror}") from error
        child = cls(process, owner, view)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                greeting = await child._read()
        except BaseException as error:
            child.kill()
            if isinstance(error, TimeoutError):
                raise OwnFaultError(f"a cutting process did not start in {START_TIMEOUT_S} s") from error
            raise
        if greeting != READY:
            child.kill()
            raise OwnFaultError("a cutting process ended while it was starting; see its error in the log")
        return child

    @property
    def usable(self) -> bool:
        return self._process.returncode is None and not self._asked

    async def ask(self, order: Order) -> Result:
        self._asked = True
        await self._write(order_line(order))
        try:
            line = await self._read()
            if not line:
                await self.gone()
                raise _CrashedError(f"the cutting process {how_it_ended(self._process.returncode)}")
            answer = read_answer(line)
        except ValueError as error:
            raise _CrashedError("the cutting process crashed on this source and answered nonsense") from error
        self._asked = False
        if isinstance(answer, Done):
            return answer.result
        raise answer.error()

    async def _write(self, line: bytes) -> None:
        if self._process.stdin is not None:
            # A process that is gone shows when its answer is read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._process.stdin.write(line)
                await self._process.stdin.drain()

    async def _read(self) -> bytes:
        async with self._reading:
            return b"" if self._process.stdout is None else await self._process.stdout.readline()

    def kill(self) -> None:
        """Kill the process and whatever it started."""
        self._asked = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until it has ended, and all that it started: what is in a sandbox may end after bubblewrap."""
        await self._process.wait()
        async with self._reading:
            # All of them hold the other end of this pipe.
            while self._process.stdout is not None and await self._process.stdout.read(MAX_ANSWER_BYTES):
                pass


async def _within_limit(child: _Child, order: Order) -> Result:
    try:
        async with asyncio.timeout(order.clip_timeout_ms / 1000):
            return await child.ask(order)
    except TimeoutError as error:
        raise _CrashedError(f"ran out of its time limit of {order.clip_timeout_ms} ms") from error


@contextlib.asynccontextmanager
async def open_pool(settings: Settings, size: int) -> AsyncIterator[CutterPool]:
    """A pool in the best sandbox that works here.

    Raises:
        UsageError: that is not the one the settings demand.
    """
    sandbox = await asyncio.to_thread(find_sandbox, settings)
    async with CutterPool(size, settings.clips_dir, sandbox) as pool:
        yield pool
