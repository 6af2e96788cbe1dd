"""A slow network between clipfold and its Kafka: a proxy of our own, as the broker's advertised listener."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stream_app.kafka.broker import storage
from stream_app.kafka.broker.properties import Ports, server_properties

DELAY_S = 0.1
BYTES_PER_S = 3_000_000 // 8
CHUNK = 16_384

Line = asyncio.Queue[tuple[float, bytes]]
"""What is on its way: when it arrives, and the bytes; none: the connection ends."""


class SlowNetwork:
    """Carries bytes to and from one port, each late, and no more of them a second than `BYTES_PER_S`.

    Each direction of each connection has a line of its own.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._target = 0
        self.port = 0
        self.carried = 0

    def start(self) -> None:
        self._thread.start()
        listening = asyncio.start_server(self._connect, "127.0.0.1", self.port)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        self.port = server.sockets[0].getsockname()[1]

    def lead_to(self, port: int) -> None:
        self._target = port

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What comes in leaves `DELAY_S` after its last byte would have come over so slow a line."""
        line: Line = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(line, writer))
        free_at = time.monotonic()
        try:
            while chunk := await reader.read(CHUNK):
                free_at = max(free_at, time.monotonic()) + len(chunk) / BYTES_PER_S
                await line.put((free_at + DELAY_S, chunk))
                self.carried += len(chunk)
                # What is sent faster than it can leave must wait at the sender, as it does on a real line.
                await asyncio.sleep(max(0.0, free_at - time.monotonic()))
        except ConnectionError:
            pass
        await line.put((free_at + DELAY_S, b""))
        await delivering

    async def _deliver(
        self, line: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        while True:
            at, chunk = await line.get()
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            try:
                if not chunk:
                    break
                writer.write(chunk)
                await writer.drain()
            except ConnectionError:
                break
        writer.close()


@contextmanager
def advertising(network: SlowNetwork, listener: int) -> Iterator[None]:
    """Whoever starts a broker meanwhile has it listen on `listener` too, and say that it is at the proxy."""
    plain = storage.server_properties

    ports_by_name = {"listeners": listener, "advertised.listeners": network.port}

    def with_slow_listener(ports: Ports, **options: Any) -> str:
        text = server_properties(ports, **options)
        settings = dict(line.split("=", 1) for line in text.splitlines())
        for name, port in ports_by_name.items():
            settings[name] += f",SLOW://127.0.0.1:{port}"
        settings["listener.security.protocol.map"] += ",SLOW:PLAINTEXT"
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    storage.server_properties = with_slow_listener
    try:
        yield
    finally:
        storage.server_properties = plain
