"""The client against a real server: what it gives, what it gets over, and whom it leaves alone."""

import asyncio

import pytest
from fault_server import Fault, FaultServer

from stream_app.sources.breaker import FAILURES, SPAN_S
from stream_app.sources.connection import CONNECTIONS_PER_HOST
from stream_app.sources.http import HttpClient
from stream_app.telemetry import metrics
from tests.integration.sources.fetching import (
    CDN,
    CONTENT,
    PATH,
    TOKEN,
    failure,
    fetch,
    settings,
)


async def test_a_whole_body(server: FaultServer, client: HttpClient) -> None:
    answer, body = await fetch(client, server.url(PATH))
    assert body == CONTENT
    assert (answer.status, answer.content_type, answer.span) == (200, "video/mp4", None)
    assert answer.validator.size == len(CONTENT)
    assert answer.validator.is_strong


@pytest.mark.parametrize("fault", [Fault(), Fault(chunked=True)])
async def test_a_range(server: FaultServer, client: HttpClient, fault: Fault) -> None:
    server.faults[PATH] = fault
    answer, body = await fetch(client, server.url(PATH), span=(1000, 3000))
    assert (answer.status, answer.span, body) == (206, (1000, 3000), CONTENT[1000:3000])
    assert answer.validator.size == len(CONTENT)


async def test_a_range_past_the_end_is_as_long_as_there_is(server: FaultServer, client: HttpClient) -> None:
    start = len(CONTENT) - 10
    answer, body = await fetch(client, server.url(PATH), span=(start, start + 1000))
    assert (answer.span, body) == ((start, len(CONTENT)), CONTENT[start:])


async def test_a_server_that_ignores_ranges_sends_all(server: FaultServer, client: HttpClient) -> None:
    whole, _ = await fetch(client, server.url(PATH))
    server.faults[PATH] = Fault(ignore_range=True)
    answer, body = await fetch(client, server.url(PATH), span=(10, 20), same_as=whole.validator)
    assert (answer.status, answer.span, body) == (200, None, CONTENT)


async def test_content_that_is_known_already_is_not_sent(server: FaultServer, client: HttpClient) -> None:
    first, _ = await fetch(client, server.url(PATH))
    answer, body = await fetch(client, server.url(PATH), unless=first.validator)
    assert (answer.status, answer.validator, body) == (304, first.validator, b"")
    server.put(PATH, b"new")
    answer, body = await fetch(client, server.url(PATH), unless=first.validator)
    assert (answer.status, body) == (200, b"new")


async def test_ranges_of_the_same_content_agree(server: FaultServer, client: HttpClient) -> None:
    first, head = await fetch(client, server.url(PATH), span=(0, 100))
    _, rest = await fetch(client, server.url(PATH), span=(100, len(CONTENT)), same_as=first.validator)
    assert head + rest == CONTENT


async def test_redirects_are_followed_to_a_relative_place(server: FaultServer, client: HttpClient) -> None:
    server.put("/b/c.mp4", b"there")
    server.faults[PATH] = Fault(status=302, headers={"Location": "b/c.mp4?d=%2F"})
    answer, body = await fetch(client, server.url(PATH))
    assert (answer.url, body) == (server.url("/b/c.mp4?d=%2F"), b"there")


async def test_nothing_is_carried_from_one_request_to_the_next(
    server: FaultServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    server.faults[PATH] = Fault(headers={"Set-Cookie": "a=b; Path=/"})
    # Cookies of bare addresses are not kept by anyone: by name, then.
    await fetch(client, server.url(PATH + "?sig=a%2Fb%3D&e=1+2", "localhost"))
    await fetch(client, server.url(PATH, "localhost"))
    first, second = server.log
    assert first.target == PATH + "?sig=a%2Fb%3D&e=1+2"
    assert first.headers["Accept-Encoding"] == "identity"
    assert not {"Cookie", "Authorization", "Referer"} & (first.headers.keys() | second.headers.keys())


async def test_a_connection_is_used_again(server: FaultServer, client: HttpClient) -> None:
    for _ in range(10):
        await fetch(client, server.url(PATH), span=(0, 10))
    assert server.connections == 1


async def test_connections_of_a_host_are_few_and_a_wait_for_one_is_not_its_fault(
    server: FaultServer,
) -> None:
    server.faults[PATH] = Fault(delay_s=0.3)
    limits = settings(fetch_connect_timeout_ms=250)
    async with HttpClient(limits) as client:
        await asyncio.gather(
            *(fetch(client, server.url(PATH), span=(0, 1)) for _ in range(2 * CONNECTIONS_PER_HOST + 1))
        )
    assert server.connections == CONNECTIONS_PER_HOST


async def test_what_is_fetched_is_counted(server: FaultServer, client: HttpClient) -> None:
    before = metrics.FETCH_BYTES._value.get()  # noqa: SLF001 - prometheus_client has no other way to read one
    await fetch(client, server.url(PATH), span=(0, 1000))
    assert metrics.FETCH_BYTES._value.get() == before + 1000  # noqa: SLF001
    failures = metrics.FETCH_FAILURES.labels(CDN)
    before = failures._value.get()  # noqa: SLF001
    server.faults[PATH] = Fault(cut_after=100)
    await failure(client, server.url(PATH))
    await failure(client, server.url("/none.mp4"))
    assert failures._value.get() == before + 2  # noqa: SLF001


@pytest.mark.parametrize(
    ("fault", "requests"),
    [(Fault(status=500, times=1), 2), (Fault(status=503, times=2), 3), (Fault(reset=True, times=2), 3)],
)
async def test_a_blip_is_got_over_at_once(
    server: FaultServer, client: HttpClient, fault: Fault, requests: int
) -> None:
    server.faults[PATH] = fault
    _, body = await fetch(client, server.url(PATH))
    assert body == CONTENT
    assert server.requests[PATH] == requests


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_host_that_is_down_is_asked_no_more_for_a_while(server: FaultServer) -> None:
    clock = Time()
    server.faults["*"] = Fault(status=500, headers={"Retry-After": "1"})
    async with HttpClient(settings(), clock) as client:
        for _ in range(FAILURES):
            await failure(client, server.url(PATH))
            clock.now += SPAN_S
        error = await failure(client, server.url("/other.mp4" + TOKEN))
        assert server.total_requests == FAILURES
        assert (error.reason, error.retryable) == (CDN, True)
        assert "500" in str(error)
        assert metrics.BREAKERS_OPEN.collect()[0].samples[0].value == 1

        server.faults.clear()
        clock.now += error.retry_after_ms / 1000
        _, body = await fetch(client, server.url(PATH))
        assert body == CONTENT
        assert metrics.BREAKERS_OPEN.collect()[0].samples[0].value == 0


async def test_an_opening_breaker_ends_the_tries_in_place(server: FaultServer) -> None:
    clock = Time()
    server.faults["*"] = Fault(status=500)
    async with HttpClient(settings(), clock) as client:
        await failure(client, server.url(PATH))
        clock.now += SPAN_S
        error = await failure(client, server.url(PATH))
        assert "left alone" in str(error)
        assert server.total_requests == FAILURES


async def test_what_is_not_there_does_not_bring_a_host_down(server: FaultServer) -> None:
    clock = Time()
    async with HttpClient(settings(), clock) as client:
        for _ in range(2 * FAILURES):
            await failure(client, server.url("/none.mp4"))
            clock.now += SPAN_S
        await fetch(client, server.url(PATH))
