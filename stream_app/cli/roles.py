"""Run a role until it is told to stop."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from stream_app.app.stopping import stop_on_signals
from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import Exit, exit_codes
from stream_app.python_gc import sparing_what_is_loaded
from stream_app.role_lock import holding_role
from stream_app.settings import Settings
from stream_app.telemetry.log import configure_logging, get_logger

STOP_GRACE_S = 10.0
"""On top of the drain limit, for offsets to be committed and connections to be closed."""

log = get_logger()


def run_role(role: str, run: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    """Run it in this process; SIGTERM and SIGINT have it end in good order, and in limited time."""
    with exit_codes():
        settings = with_kafka(Settings())
        configure_logging(settings.log_level)
        with holding_role(settings, role), sparing_what_is_loaded():
            asyncio.run(_until_stopped(settings, run))


async def _until_stopped(
    settings: Settings, run: Callable[[Settings, asyncio.Event], Awaitable[None]]
) -> None:
    async with stop_on_signals() as stop:
        role = asyncio.ensure_future(run(settings, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({role, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        _, late = await asyncio.wait({role}, timeout=settings.drain_timeout_ms / 1000 + STOP_GRACE_S)
        if late:
            # Kafka is away, or hangs. Nothing is lost: what is not committed is done again by the next one.
            log.warning("role.stop_cut_short", waited_s=settings.drain_timeout_ms / 1000 + STOP_GRACE_S)
            os._exit(Exit.FAILED)
        await role
