"""How a role is told to stop, and what it does until then."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def all_set(*events: asyncio.Event, unless: asyncio.Event) -> bool:
    """Wait until all are set, and say so; or until `unless` is."""

    async def wait_for_all() -> None:
        for event in events:
            await event.wait()

    ready, given_up = asyncio.create_task(wait_for_all()), asyncio.create_task(unless.wait())
    try:
        await asyncio.wait((ready, given_up), return_when=asyncio.FIRST_COMPLETED)
        return ready.done()
    finally:
        ready.cancel()
        given_up.cancel()


async def until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but end it unfinished at `stop`."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working
