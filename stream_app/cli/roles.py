"""`clipfold worker` and `clipfold serve`: the two roles that run until they are told to stop."""

import asyncio
from collections.abc import Awaitable, Callable

from stream_app.app import run_serve, run_worker, stop_on_signals
from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import exit_codes
from stream_app.role_lock import holding_role
from stream_app.settings import Settings
from stream_app.telemetry.log import configure_logging


def worker() -> None:
    """Take requests, cut clips, join mixes. SIGTERM drains; start more on the same Kafka to go faster."""
    _run_role("worker", run_worker)


def serve() -> None:
    """Fold the log into DuckDB, publish the snapshot, answer over HTTP. SIGTERM ends it."""
    _run_role("serve", run_serve)


def _run_role(role: str, run: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    async def until_stopped(settings: Settings) -> None:
        async with stop_on_signals() as stop:
            await run(settings, stop)

    with exit_codes():
        settings = with_kafka(Settings())
        configure_logging(settings.log_level)
        with holding_role(settings, role):
            asyncio.run(until_stopped(settings))
