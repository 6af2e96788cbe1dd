"""Run the API inside the event loop of `serve`."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from stream_app.domain.errors import UsageError
from stream_app.settings import Settings

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def bind(settings: Settings) -> socket.socket:
    """The socket to listen on.

    Raises:
        UsageError: the port is taken, or the address is not loopback: without tokens nobody else may ask.
    """
    if settings.api_host not in LOOPBACK:
        raise UsageError(
            f"RENDER_API_HOST={settings.api_host} is refused: only loopback while there are no tokens"
        )
    listener = socket.socket(socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.api_host, settings.api_port))
        # Whoever asks while the parts still start waits for the answer instead of being turned away.
        listener.listen()
    except OSError as error:
        listener.close()
        raise UsageError(
            f"RENDER_API_PORT={settings.api_port} cannot be used: {error.strerror}; 0 takes any"
        ) from error
    return listener


async def serve_api(api: FastAPI, listener: socket.socket, stop: asyncio.Event) -> None:
    """Answer until `stop`."""
    server = _Server(uvicorn.Config(api, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        stopping.cancel()
        await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program, which handles them for all of its parts together."""
        yield
