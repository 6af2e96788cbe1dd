"""`clipfold top`: what a running system does now, refreshed every second."""

import asyncio
import sys
from contextlib import suppress
from typing import Annotated

import stamina
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.live import Live

from stream_app.app.stopping import stop_on_signals
from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import ServiceMissingError, exit_codes
from stream_app.cli.output import AsJson, console, print_json
from stream_app.cli.top_frame import Frame, look, watch_system
from stream_app.cli.top_view import as_screen
from stream_app.domain.errors import UsageError
from stream_app.kafka.clients import bootstrap_servers
from stream_app.settings import Settings

REFRESH_S = 1.0
RETRY_S = 2.0
AWAY = (KafkaError, OSError, TimeoutError)

Once = Annotated[bool, typer.Option("--once", help="Print what is now, and end.")]


def top(*, once: Once = False, as_json: AsJson = False) -> None:
    """Show workers, mixes in work, lag and the config in force, live; Ctrl-C ends it."""
    with exit_codes():
        if as_json and not once:
            raise UsageError("--json prints one frame: give --once too")
        if not once and not sys.stdout.isatty():
            raise UsageError("this is no terminal: `clipfold top --once` prints what is now")
        settings = with_kafka(Settings())
        # Frames say what is wrong; a log line on stdout would stand in the middle of one.
        stamina.instrumentation.set_on_retry_hooks([])
        if not once:
            asyncio.run(_show_live(settings))
            return
        frame = asyncio.run(_look_once(settings))
        if as_json:
            print_json(frame.as_json())
        else:
            console().print(as_screen(frame))


async def _look_once(settings: Settings) -> Frame:
    """One frame, of all that stands in the log now."""
    try:
        async with watch_system(settings) as watch:
            while True:
                frame = await look(watch, settings, within_s=REFRESH_S)
                if frame.is_whole:
                    return frame
    except AWAY as error:
        raise ServiceMissingError(_in_words(settings, error)) from error


async def _show_live(settings: Settings) -> None:
    """Show frames until Ctrl-C."""
    with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
        async with stop_on_signals() as stop:
            following = asyncio.create_task(_follow(settings, live))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (following, stopping):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _follow(settings: Settings, live: Live) -> None:
    """Show a frame every second; while Kafka is away say so and go on trying."""
    frame: Frame | None = None
    while True:
        try:
            async with watch_system(settings) as watch:
                while True:
                    frame = await look(watch, settings, within_s=REFRESH_S)
                    live.update(as_screen(frame), refresh=True)
                    await asyncio.sleep(REFRESH_S)
        except AWAY as error:
            live.update(as_screen(frame, trouble=_in_words(settings, error)), refresh=True)
            await asyncio.sleep(RETRY_S)


def _in_words(settings: Settings, error: BaseException) -> str:
    return f"Kafka at {bootstrap_servers(settings)} is away: {str(error) or type(error).__name__}"
