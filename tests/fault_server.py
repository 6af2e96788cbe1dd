"""A web server that misbehaves as it is told to; the world as sources see it.

It serves the files of a folder (and bytes that a test puts in) on 127.0.0.1, over HTTP/1.1 with kept
connections, ranges, ETag, Last-Modified, If-None-Match, If-Modified-Since and If-Range. A `Fault` set for a
path changes how that path is answered. It counts what it was asked for and what it sent.

Inside an event loop:

    async with FaultServer(folder) as server:
        server.faults["/a.mp4"] = Fault(status=503, headers={"Retry-After": "7"}, times=1)
        await fetch(server.url("/a.mp4"))
        assert server.requests["/a.mp4"] == 2

Beside a test that runs whole workers, in a thread of its own:

    with FaultServer(folder).in_thread() as server:
        server.faults["*"] = Fault(delay_s=1.0)   # every path that has no fault of its own
        server.put("/b.m3u8", b"#EXTM3U ...")     # content that is in no folder; put it again to change it

Sources on it are on loopback: settings must open the guard, `allow_cidrs=("127.0.0.0/8",)`.
"""

import asyncio
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from http.client import responses
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

PIECE = 1 << 16
FOREVER_S = 3600.0
START_TIMEOUT_S = 30

Read = Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True)
class Fault:
    """How a path is answered otherwise than it should be. Fields combine; the defaults are no fault.

    Attributes:
        status: instead of 200, 206 or 304; the body is then a short text.
        headers: added to the head, or instead of the ones of that name; an empty value takes one away.
        body: instead of the content (and of the text of an error status); ranges are cut from it.
        delay_s: the head comes so much later.
        hang: never send a head.
        reset: close the connection hard, before the head.
        raw: send these bytes instead of any answer, and close (or hang, with `hang_after`).
        hang_after: stop sending, with the connection open, after so many bytes of the body.
        cut_after: close the connection after so many bytes of the body.
        rate: bytes of the body a second, in pieces of a tenth.
        announce: added to the Content-Length that is announced; the body stays as it is.
        endless: repeat the body for ever, without announcing a length.
        chunked: send it in chunks, without announcing a length.
        ignore_range: answer 200 with everything.
        ignore_conditions: no If-None-Match, If-Modified-Since and If-Range.
        skip: the first so many requests are answered well.
        times: after so many faulty answers (and `skip`), answers are well again; None: never.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0
    hang: bool = False
    reset: bool = False
    raw: bytes | None = None
    hang_after: int | None = None
    cut_after: int | None = None
    rate: int | None = None
    announce: int = 0
    endless: bool = False
    chunked: bool = False
    ignore_range: bool = False
    ignore_conditions: bool = False
    skip: int = 0
    times: int | None = None


WELL = Fault()


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)


class FaultServer:
    """See the module's docstring.

    Attributes:
        faults: path -> fault; `*` is for every path without one.
        requests: path -> how often it was asked for.
        sent: path -> bytes of bodies that were sent for it.
        log: every request, in order.
        connections: how many were accepted.
        port: where it listens, once it does.
    """

    def __init__(self, root: Path | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.faults: dict[str, Fault] = {}
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.log: list[Request] = []
        self.connections = 0
        self.port = 0
        self._root = root
        self._tls = tls
        self._put: dict[str, tuple[bytes, float]] = {}
        self._open: set[asyncio.Task[None]] = set()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of `path` on this server."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def put(self, path: str, content: bytes, modified: float = 1_700_000_000) -> None:
        """Serve `content`; the same path again is a change, with another ETag."""
        self._put[path] = (content, modified)

    @property
    def total_requests(self) -> int:
        return sum(self.requests.values())

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serve from a thread of its own while the context is open."""
        started, loop = threading.Event(), asyncio.new_event_loop()
        stop = asyncio.Event()

        async def serve() -> None:
            async with self:
                started.set()
                await stop.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        try:
            if not started.wait(START_TIMEOUT_S):
                raise TimeoutError("the fault server does not start")
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(START_TIMEOUT_S)
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer(await _read_request(reader), writer):
                    pass
        finally:
            self._open.discard(task)
            writer.close()

    def _fault_of(self, path: str) -> Fault:
        fault = self.faults.get(path) or self.faults.get("*", WELL)
        earlier = self.requests[path] - 1
        last = None if fault.times is None else fault.skip + fault.times
        return fault if earlier >= fault.skip and (last is None or earlier < last) else WELL

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may be used for another."""
        self.log.append(request)
        self.requests[request.path] += 1
        fault = self._fault_of(request.path)
        await asyncio.sleep(FOREVER_S if fault.hang else fault.delay_s)
        if fault.reset:
            _reset(writer)
            return False
        if fault.raw is not None:
            writer.write(fault.raw)
            await writer.drain()
            await asyncio.sleep(0 if fault.hang_after is None else FOREVER_S)
            return False
        status, headers, body, size = self._content(request, fault)
        length = size + fault.announce
        if fault.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not fault.endless and status != 304:
            headers["Content-Length"] = str(length)
        headers = {name: value for name, value in (headers | dict(fault.headers)).items() if value}
        head = [f"HTTP/1.1 {status} {responses.get(status, 'Odd')}", *map(": ".join, headers.items()), "", ""]
        writer.write("\r\n".join(head).encode("utf-8"))
        await writer.drain()
        if request.method == "HEAD" or status == 304:
            return True
        whole = await self._send(request.path, body, fault, writer)
        return whole and fault.announce == 0 and not fault.endless

    def _content(self, request: Request, fault: Fault) -> tuple[int, dict[str, str], Iterator[bytes], int]:
        found = self._find(request.path)
        if fault.status is not None or (found is None and fault.body is None):
            status = fault.status or 404
            text = f"{status} {responses.get(status, '')}\n".encode() if fault.body is None else fault.body
            return status, {"Content-Type": "text/plain"}, iter([text]), len(text)
        size, tag, modified, read = found or (0, "none", 0.0, None)
        if fault.body is not None:
            content = fault.body
            size, tag, read = len(content), _tag(content), lambda start, stop: _slices(content, start, stop)
        assert read is not None
        headers = {
            "Content-Type": "video/mp4",
            "ETag": f'"{tag}"',
            "Last-Modified": formatdate(modified, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        known = headers | dict(fault.headers)
        if not fault.ignore_conditions and _is_unchanged(request.headers, known):
            return 304, headers, iter(()), 0
        span = None if fault.ignore_range else _span(request.headers, size)
        if span is not None and (fault.ignore_conditions or _is_same(request.headers, known)):
            start, stop = span
            if start >= size:
                return 416, {"Content-Range": f"bytes */{size}"}, iter(()), 0
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            return 206, headers, read(start, stop), stop - start
        return 200, headers, read(0, size), size

    def _find(self, path: str) -> tuple[int, str, float, Read] | None:
        if path in self._put:
            content, modified = self._put[path]
            return len(content), _tag(content), modified, lambda a, b: _slices(content, a, b)
        if self._root is None:
            return None
        file = (self._root / path.lstrip("/")).resolve()
        if not file.is_file() or not file.is_relative_to(self._root.resolve()):
            return None
        stat = file.stat()
        tag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
        return stat.st_size, tag, stat.st_mtime, lambda a, b: _file_slices(file, a, b)

    async def _send(
        self, path: str, body: Iterator[bytes], fault: Fault, writer: asyncio.StreamWriter
    ) -> bool:
        """Send the body; whether it was sent to its end."""
        sent = 0
        async for piece in _paced(_endless(body) if fault.endless else body, fault.rate):
            for limit in (fault.cut_after, fault.hang_after):
                if limit is not None and sent + len(piece) > limit:
                    await self._write(path, piece[: limit - sent], fault, writer)
                    await asyncio.sleep(FOREVER_S if limit == fault.hang_after else 0)
                    return False
            await self._write(path, piece, fault, writer)
            sent += len(piece)
        if fault.chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return True

    async def _write(self, path: str, piece: bytes, fault: Fault, writer: asyncio.StreamWriter) -> None:
        if piece:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if fault.chunked else piece)
            await writer.drain()
            self.sent[path] += len(piece)


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    pairs = (line.partition(":") for line in head[1:] if line)
    return Request(method, target, {name.strip().title(): value.strip() for name, _, value in pairs})


def _is_unchanged(headers: Mapping[str, str], known: Mapping[str, str]) -> bool:
    if "If-None-Match" in headers:
        return headers["If-None-Match"].removeprefix("W/") == known.get("ETag", "").removeprefix("W/")
    return "If-Modified-Since" in headers and headers["If-Modified-Since"] == known.get("Last-Modified")


def _is_same(headers: Mapping[str, str], known: Mapping[str, str]) -> bool:
    condition = headers.get("If-Range")
    return condition is None or condition in (known.get("ETag"), known.get("Last-Modified"))


def _span(headers: Mapping[str, str], size: int) -> tuple[int, int] | None:
    unit, _, span = headers.get("Range", "").partition("=")
    first, _, last = span.partition("-")
    if unit != "bytes" or "," in span:
        return None
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)


def _tag(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def _slices(content: bytes, start: int, stop: int) -> Iterator[bytes]:
    return (content[at : min(at + PIECE, stop)] for at in range(start, stop, PIECE))


def _file_slices(file: Path, start: int, stop: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(start)
        while start < stop and (piece := opened.read(min(PIECE, stop - start))):
            start += len(piece)
            yield piece


def _endless(body: Iterator[bytes]) -> Iterator[bytes]:
    pieces = list(body)
    while pieces:
        yield from pieces


async def _paced(body: Iterator[bytes], rate: int | None) -> AsyncIterator[bytes]:
    for piece in body:
        if rate is None:
            yield piece
            continue
        step = max(1, rate // 10)
        for at in range(0, len(piece), step):
            yield piece[at : at + step]
            await asyncio.sleep(step / rate)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
