"""Locks between the processes of one machine, kept by the kernel: whoever ends, however, lets go of them."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stream_app.domain.errors import OwnFaultError

POLL_S = 0.05
"""Between two looks at a lock that another process has: little beside a fetch, and next to no CPU."""


def hold_folder(folder: Path, *, alone: bool = False) -> int | None:
    """A locked handle on `folder`, to be closed with `os.close`; None when it is gone or others bar it.

    Args:
        folder: what to lock. The lock is on the folder itself, so none is left behind when it is removed.
        alone: bar everybody else, instead of only those who want it alone.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        # It may have been removed, and made again by another, since it was opened.
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def hold_made(folder: Path) -> int | None:
    """The same for a folder that is made, for this user only, when it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return hold_folder(folder)


@asynccontextmanager
async def alone_with(lock: Path, *, wait_s: float) -> AsyncIterator[None]:
    """Have `lock`, a file that nobody removes meanwhile, to oneself among all processes.

    Raises:
        OwnFaultError: another process had it for all of `wait_s` seconds.
    """
    with lock.open("a") as file:
        give_up_at = time.monotonic() + wait_s
        while not _try_lock(file.fileno()):
            if time.monotonic() > give_up_at:
                raise OwnFaultError(
                    f"another process has held {lock} for {wait_s:g} s: look for a worker that is stopped"
                )
            await asyncio.sleep(POLL_S)
        yield


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
