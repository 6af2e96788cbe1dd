"""An HTTP server that lets every request wait before it answers, as a far or busy one does."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web


@contextmanager
def slow_server(file: Path, wait_s: float) -> Iterator[str]:
    """Serve `file` under every path, with ranges, each answer after `wait_s`; yields the server's address."""
    loop = asyncio.new_event_loop()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(wait_s)
        return web.FileResponse(file)

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{name}", answer)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
