"""The HTTP client of sources: every request guarded, limited in every direction, and of a known outcome."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Self

import aiohttp
import stamina
from yarl import URL

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.address import AddressGuard, parse_url
from stream_app.sources.answer import Answer, Ask
from stream_app.sources.breaker import Breakers
from stream_app.sources.connection import Connections
from stream_app.sources.fetch_error import FetchError, bad_answer, of_exception, of_status
from stream_app.sources.source_file import ByteSpan
from stream_app.sources.validator import Validator
from stream_app.telemetry import metrics

__all__ = ["Answer", "HttpClient", "Validator"]

MAX_REDIRECTS = 3

TRIES = 3
TRIES_S = 1.0
"""A blip is tried again at once, so often and within so long; a longer wait happens in the log, not in a
slot. Within a try, aiohttp itself repeats a request once whose connection broke: a kept one may have been
stale."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HttpClient:
    """Fetches from strangers' servers. One for a worker and its event loop; an async context manager.

    Args:
        settings: limits, and what the address guard is open for.
        clock: seconds that only go forward.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._guard = AddressGuard(settings.allow_hosts, settings.allow_cidrs)
        self._breakers = Breakers(clock)

    async def __aenter__(self) -> Self:
        self._connections = Connections(self._settings, self._guard, self._clock)
        metrics.BREAKERS_OPEN.set_function(lambda: self._breakers.open_count)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.close()
        metrics.BREAKERS_OPEN.set_function(lambda: 0)

    @asynccontextmanager
    async def get(
        self,
        url: str,
        *,
        span: ByteSpan | None = None,
        unless: Validator | None = None,
        same_as: Validator | None = None,
        max_bytes: int | None = None,
    ) -> AsyncIterator[Answer]:
        """Ask for an address, with redirects followed; the answer is open inside the `async with`.

        Read the body to its end, or the connection is closed with the context. Ask for nothing else of the
        same host inside of it: its connections are few.

        Args:
            url: the address; sent as it is written when it is written correctly.
            span: only these bytes; a server that ignores it answers 200, with all of them.
            unless: answer 304, without a body, while the content is still this.
            same_as: the content of an earlier answer, of which this one must be too.
            max_bytes: of the body; default: `max_source_bytes`, which holds for the whole content anyway.

        Raises:
            SourceError: the answer is of no use. `source_refused`: the guard; `cdns_unreachable`: no answer;
                `cdn_error`: a bad one; `source_invalid`: too large.
            OwnFaultError: this machine can open no connection.
        """
        try:
            ask = Ask(parse_url(url), span, unless, same_as, max_bytes)
            response, answer = await self._answer(ask)
        except SourceError as error:
            metrics.FETCH_FAILURES.labels(error.reason).inc()
            raise
        try:
            yield answer
        finally:
            # A connection whose answer was read to its end is back in the pool already.
            response.close()

    async def _answer(self, ask: Ask) -> tuple[aiohttp.ClientResponse, Answer]:
        async for attempt in stamina.retry_context(
            on=_is_blip, attempts=TRIES, timeout=TRIES_S, wait_initial=0.05, wait_max=0.3, wait_jitter=0.1
        ):
            with attempt:
                response, sent_at = await self._follow(ask)
                try:
                    return response, Answer(response, ask, self._settings, clock=self._clock, started=sent_at)
                except BaseException:
                    response.close()
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _follow(self, ask: Ask) -> tuple[aiohttp.ClientResponse, float]:
        url, came_from = ask.url, None
        for _ in range(MAX_REDIRECTS + 1):
            try:
                self._guard.check_url(url, came_from)
                response, sent_at = await self._head_of(url, ask.headers())
            except FetchError as error:
                if came_from is not None:
                    error.came_from(came_from)
                raise
            if response.status not in _REDIRECTS:
                return response, sent_at
            response.close()
            came_from, url = url, _target(url, response)
        raise bad_answer(ask.url, f"redirects more than {MAX_REDIRECTS} times", retryable=False)

    async def _head_of(self, url: URL, headers: dict[str, str]) -> tuple[aiohttp.ClientResponse, float]:
        with self._breakers.ask(str(url.origin()).lower()):
            try:
                response, sent_at = await self._connections.head_of(url, headers)
            except aiohttp.ClientError as error:
                # Its text may have the whole address, tokens included.
                raise of_exception(url, error) from None
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                response.close()
                raise of_status(url, response.status, response.headers)
            return response, sent_at


def _is_blip(error: Exception) -> bool:
    return isinstance(error, FetchError) and error.is_blip


def _target(url: URL, response: aiohttp.ClientResponse) -> URL:
    location = response.headers.get("Location")
    if not location:
        raise bad_answer(url, f"{response.status} that says not where to", retryable=False)
    try:
        return url.join(parse_url(location))
    except (FetchError, ValueError):
        raise bad_answer(url, f"{response.status} to what is no address", retryable=False) from None
