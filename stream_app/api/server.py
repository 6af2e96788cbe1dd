"""Run the API inside the event loop of `serve`."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from stream_app.api.access import LOOPBACK, Tokens
from stream_app.domain.errors import UsageError
from stream_app.settings import Settings


def bind(settings: Settings, tokens: Tokens) -> socket.socket:
    """The socket to listen on.

    Raises:
        UsageError: the port is taken, or the address is not loopback and there are no tokens: then nobody
            else may ask.
    """
    if settings.api_host not in LOOPBACK and not tokens:
        raise UsageError(
            f"RENDER_API_HOST={settings.api_host} is refused while there are no tokens: "
            "set RENDER_API_TOKENS or RENDER_API_TOKENS_FILE, or listen on 127.0.0.1"
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
    config = uvicorn.Config(
        api,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
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
