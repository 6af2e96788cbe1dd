"""Every fault of a server is decided in time, with its reason: fault, reason, retryable, seconds."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fault_server import Fault, FaultServer

from stream_app.settings import Settings
from stream_app.sources import http
from stream_app.sources.http import TRIES, TRIES_S, HttpClient
from stream_app.sources.pace import PATIENCE_S
from tests.integration.sources.fetching import (
    ANSWER_S,
    BUSY_S,
    CDN,
    CONNECT_S,
    CONTENT,
    INVALID,
    PATH,
    RATE,
    REFUSED,
    TOKEN,
    UNREACHABLE,
    failure,
    fetch,
    impatient,
    redirect,
)
from topics.reasons import FallbackReason

PAGE = Path(__file__).parents[3] / "docs/sources.md"


@dataclass(frozen=True)
class Within:
    """How long a decision may take: seconds by the limits of these tests, and what the documentation says."""

    seconds: float
    told: str


def by_default(setting: str) -> str:
    return f"{Settings.model_fields[setting].default // 1000} s (`RENDER_{setting.upper()}`)"


AT_ONCE = Within(0.0, "at once")
AFTER_TRIES = Within(TRIES_S, f"{TRIES_S:g} s: {TRIES} tries")
NO_ANSWER = Within(ANSWER_S, by_default("fetch_answer_timeout_ms"))
STANDS_STILL = Within(ANSWER_S, f"{PATIENCE_S:g} s of silence (`RENDER_MIN_FETCH_RATE`)")
DRIPS = Within(2 * ANSWER_S, f"{PATIENCE_S:g} s behind `RENDER_MIN_FETCH_RATE`")
TOO_LONG = Within(1.0, by_default("fetch_timeout_ms"))


@dataclass(frozen=True)
class Row:
    fault: Fault
    reason: FallbackReason
    retryable: bool
    within: Within = AT_ONCE
    tries: int = 1
    says: str = ""
    asked: dict[str, Any] = field(default_factory=dict)
    retry_after_ms: int = 0
    limits: dict[str, int] = field(default_factory=dict)


def sent_as_part(body: bytes) -> Fault:
    """Whatever `body` is, it is said to be bytes 100 to 199; without a length."""
    said = {"Content-Range": f"bytes 100-199/{len(CONTENT)}"}
    return Fault(status=206, body=body, chunked=True, headers=said)


PART = {"span": (100, 200)}
NOT_HTTP = {
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nA: " + b"a" * 10**6,
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10**5,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
}
HALF_A_HEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n"
FAULTS = {
    "400": Row(Fault(status=400), CDN, retryable=False),
    "403": Row(Fault(status=403), CDN, retryable=False),
    "404": Row(Fault(status=404), CDN, retryable=False, says="404 Not Found"),
    "408": Row(Fault(status=408), CDN, retryable=True),
    "410": Row(Fault(status=410), CDN, retryable=False),
    "429": Row(Fault(status=429), CDN, retryable=True),
    "429, wait": Row(
        Fault(status=429, headers={"Retry-After": "5"}), CDN, retryable=True, retry_after_ms=5000
    ),
    "500": Row(Fault(status=500), CDN, retryable=True, tries=TRIES, within=AFTER_TRIES),
    "503": Row(Fault(status=503), CDN, retryable=True, tries=TRIES, within=AFTER_TRIES),
    "503, wait": Row(
        Fault(status=503, headers={"Retry-After": "7"}), CDN, retryable=True, retry_after_ms=7000
    ),
    "204": Row(Fault(status=204, body=b""), CDN, retryable=False),
    "206, unasked": Row(Fault(status=206), CDN, retryable=False),
    "304, unasked": Row(Fault(status=304), CDN, retryable=False),
    "416": Row(Fault(), CDN, retryable=False, asked={"span": (10**6, 10**6 + 1)}),
    "reset before the head": Row(
        Fault(reset=True), UNREACHABLE, retryable=True, tries=2 * TRIES, within=AFTER_TRIES
    ),
    "closed before the head": Row(
        Fault(raw=b""), UNREACHABLE, retryable=True, tries=2 * TRIES, within=AFTER_TRIES
    ),
    "hangs before the head": Row(
        Fault(hang=True), UNREACHABLE, retryable=True, within=NO_ANSWER, says="no answer in 0.4 s"
    ),
    "hangs in the head": Row(
        Fault(raw=b"HTTP/1.1 200 OK\r\nA: b\r\n", hang_after=0),
        UNREACHABLE,
        retryable=True,
        within=NO_ANSWER,
    ),
    "slow to answer": Row(Fault(delay_s=60), UNREACHABLE, retryable=True, within=NO_ANSWER),
    **{
        name: Row(Fault(raw=raw), CDN, retryable=True, says="no valid HTTP") for name, raw in NOT_HTTP.items()
    },
    "hangs in the body": Row(
        Fault(hang_after=1000), CDN, retryable=True, within=STANDS_STILL, says="too slow"
    ),
    "drips": Row(Fault(rate=RATE // 10), CDN, retryable=True, within=DRIPS, says="too slow"),
    "never ends": Row(
        Fault(rate=int(RATE * 1.5)),
        CDN,
        retryable=True,
        within=TOO_LONG,
        says="RENDER_FETCH_TIMEOUT_MS",
        limits={"fetch_timeout_ms": 1000},
    ),
    "broken off": Row(Fault(cut_after=1000), CDN, retryable=True, says=f"1000 of {len(CONTENT)} bytes"),
    "broken off, in chunks": Row(Fault(cut_after=1000, chunked=True), CDN, retryable=True),
    "shorter than announced": Row(Fault(announce=5), CDN, retryable=True, says="broke off"),
    "a range, broken off": Row(Fault(cut_after=10), CDN, retryable=True, asked=PART),
    "a range, announced longer": Row(
        Fault(announce=5), CDN, retryable=True, asked=PART, says="a range of 100"
    ),
    "a range, announced shorter": Row(Fault(announce=-5), CDN, retryable=True, asked=PART),
    "a range, sent longer": Row(
        sent_as_part(CONTENT[:150]), CDN, retryable=True, asked=PART, says="more than"
    ),
    "a range, sent shorter": Row(
        sent_as_part(CONTENT[:50]), CDN, retryable=True, asked=PART, says="ended after 50 of 100 bytes"
    ),
    "another range": Row(
        Fault(headers={"Content-Range": f"bytes 0-99/{len(CONTENT)}"}),
        CDN,
        retryable=True,
        asked=PART,
        says="bytes 0-99 came where 100-199 were asked for",
    ),
    "no word of which range": Row(Fault(headers={"Content-Range": ""}), CDN, retryable=True, asked=PART),
    "encoded": Row(Fault(headers={"Content-Encoding": "gzip"}), CDN, retryable=False, says="gzip"),
    "too large": Row(
        Fault(), INVALID, retryable=False, asked={"max_bytes": 1000}, says=f"has {len(CONTENT)} bytes"
    ),
    "too large, in chunks": Row(Fault(chunked=True), INVALID, retryable=False, asked={"max_bytes": 1000}),
    "endless": Row(Fault(endless=True), INVALID, retryable=False, says="RENDER_MAX_SOURCE_BYTES"),
    "a part of what is too large": Row(
        Fault(headers={"Content-Range": "bytes 100-199/1000000000"}), INVALID, retryable=False, asked=PART
    ),
    "redirected in a circle": Row(redirect(PATH), CDN, retryable=False, tries=4, says="more than 3 times"),
    "redirected nowhere": Row(Fault(status=301), CDN, retryable=False),
    "redirected to no address": Row(redirect("http://["), CDN, retryable=False),
    "redirected to a file": Row(redirect("file:///etc/passwd"), REFUSED, retryable=False),
    "redirected to ftp": Row(redirect("ftp://cdn.example/a", 307), REFUSED, retryable=False),
    "redirected inside": Row(
        redirect("http://169.254.169.254/latest/meta-data", 308),
        REFUSED,
        retryable=False,
        says="RENDER_ALLOW_CIDRS (redirected from",
    ),
}


TABLE_HEAD = "| fault | reason | tried again | decided after |\n|---|---|---|---|"


@pytest.mark.parametrize("row", FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_decided_in_time_with_its_reason(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, row: Row
) -> None:
    # All tries are made, be the machine as busy as it may.
    monkeypatch.setattr(http, "TRIES_S", TRIES_S + BUSY_S)
    server.faults[PATH] = row.fault
    async with HttpClient(impatient(max_source_bytes=10**6, **row.limits)) as client:
        async with asyncio.timeout(row.within.seconds + BUSY_S):
            error = await failure(client, server.url(PATH + TOKEN), **row.asked)
    assert (error.reason, error.retryable) == (row.reason, row.retryable)
    assert error.retry_after_ms == row.retry_after_ms
    assert row.says in str(error)
    assert server.requests[PATH] == row.tries


def test_the_documentation_has_this_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = [
        f"| {name} | `{row.reason}` | {'yes' if row.retryable else 'no'} | {row.within.told} |"
        for name, row in FAULTS.items()
    ]
    _, _, rest = page.partition(f"{TABLE_HEAD}\n")
    table = rest.partition("\n\n")[0].splitlines()
    assert table == told, "write the table anew: " + "\n".join([TABLE_HEAD, *told])


async def test_a_rate_just_above_the_least_is_let_through(server: FaultServer) -> None:
    server.put(PATH, CONTENT[: RATE // 2])
    server.faults[PATH] = Fault(rate=2 * RATE)
    async with HttpClient(impatient()) as client:
        _, body = await fetch(client, server.url(PATH))
    assert len(body) == RATE // 2


@pytest.mark.parametrize(
    ("fault", "content"),
    [
        (Fault(), b"new" * 1000),
        (Fault(ignore_range=True), b"new" * 1000),
        (Fault(ignore_conditions=True), b"new" * 1000),
        (Fault(ignore_conditions=True), b"shorter"),
        (Fault(headers={"ETag": '"same"'}), b"another size" * 1000),
        (Fault(headers={"ETag": ""}), b"only Last-Modified" * 1000),
    ],
)
async def test_content_that_changes_between_two_ranges_is_told(
    server: FaultServer, client: HttpClient, fault: Fault, content: bytes
) -> None:
    server.faults[PATH] = fault
    first, _ = await fetch(client, server.url(PATH), span=(0, 100))
    server.put(PATH, content, modified=1_800_000_000)
    error = await failure(client, server.url(PATH), span=(100, 200), same_as=first.validator)
    assert (error.reason, error.retryable) == (CDN, True)
    assert "between two requests" in str(error)


async def test_nobody_there(client: HttpClient, unused_port: int) -> None:
    error = await failure(client, f"http://127.0.0.1:{unused_port}/")
    assert (error.reason, error.retryable) == (UNREACHABLE, True)


async def test_a_name_that_is_none(client: HttpClient) -> None:
    error = await failure(client, "http://nobody.invalid/")
    assert (error.reason, error.retryable) == (UNREACHABLE, True)
    assert "name" in str(error)


async def test_a_name_that_is_not_resolved_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(*_: object) -> list[Any]:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    async with HttpClient(impatient()) as client:
        async with asyncio.timeout(CONNECT_S + BUSY_S):
            error = await failure(client, "http://cdn.example/")
        release.set()
    assert (error.reason, error.retryable) == (UNREACHABLE, True)
    assert "no connection in 0.4 s" in str(error)


async def test_a_handshake_that_never_ends() -> None:
    async with HttpClient(impatient()) as client, silent_server() as port:
        async with asyncio.timeout(CONNECT_S + BUSY_S):
            error = await failure(client, f"https://127.0.0.1:{port}/")
    assert (error.reason, error.retryable) == (UNREACHABLE, True)
    assert "no connection in 0.4 s" in str(error)


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """A port where connections are accepted and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
