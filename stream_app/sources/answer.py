"""The answer of a source's server: its head is judged before it is handed out, its body while it is read."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from yarl import URL

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.fetch_error import bad_answer, broke_off, no_progress, of_status, too_large
from stream_app.sources.pace import PATIENCE_S, Pace
from stream_app.sources.source_file import ByteSpan
from stream_app.sources.validator import Validator, validator_of
from stream_app.telemetry import metrics

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True)
class Ask:
    """What is asked of an address; see `HttpClient.get`."""

    url: URL
    span: ByteSpan | None = None
    unless: Validator | None = None
    same_as: Validator | None = None
    max_bytes: int | None = None

    def headers(self) -> dict[str, str]:
        """The headers that say so."""
        headers: dict[str, str] = {}
        if self.span is not None:
            start, stop = self.span
            headers["Range"] = f"bytes={start}-{stop - 1}"
            headers |= self.same_as.if_range() if self.same_as is not None else {}
        return headers | (self.unless.if_changed() if self.unless is not None else {})


class Answer:
    """An answer whose head has arrived; it is of use while the `HttpClient.get` that gave it is open.

    Attributes:
        status: 200, 206 or 304.
        url: the last address, after redirects; with its query, so nothing for messages.
        content_type: as the server sent it, without parameters; never to be trusted.
        validator: what names the content; of a 304, the one that was asked with.
        span: the bytes that a 206 carries; None for the whole content.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        ask: Ask,
        settings: Settings,
        *,
        clock: Callable[[], float],
        started: float,
    ) -> None:
        """Judge the head of `response`.

        Raises:
            SourceError: it is of no use: `cdn_error`, or `source_invalid` when it is too large.
        """
        self._response = response
        self._clock = clock
        self._started = started
        self._deadline = started + settings.fetch_timeout_ms / 1000
        self._settings = settings
        self._limit = settings.max_source_bytes if ask.max_bytes is None else ask.max_bytes
        self._limit_name = "RENDER_MAX_SOURCE_BYTES" if ask.max_bytes is None else "for a file of its kind"
        self._url = response.url
        self.url = str(response.url)
        self.content_type = response.content_type
        self.status = response.status
        self.span: ByteSpan | None = None
        self._announced = response.content_length
        self.validator = self._judge(ask)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, in pieces as they come; nothing for a 304.

        Raises:
            SourceError: `cdn_error`, retryable, when it breaks off, is not as long as announced or comes too
                slowly; `source_invalid` when it is too large.
        """
        try:
            async for chunk in self._body():
                metrics.FETCH_BYTES.inc(len(chunk))
                yield chunk
        except SourceError as error:
            metrics.FETCH_FAILURES.labels(error.reason).inc()
            raise
        metrics.FETCH_DURATION_MS.observe((self._clock() - self._started) * 1000)

    async def _body(self) -> AsyncIterator[bytes]:
        if self.status == HTTPStatus.NOT_MODIFIED:
            return
        received = 0
        patience_s = min(PATIENCE_S, self._settings.fetch_answer_timeout_ms / 1000)
        pace = Pace(self._settings.min_fetch_rate, patience_s)
        while chunk := await self._next(pace, received):
            received += len(chunk)
            if received > self._limit:
                raise too_large(self._url, received, self._limit, self._limit_name)
            if self._announced is not None and received > self._announced:
                raise bad_answer(self._url, f"more than the {self._announced} bytes that were announced")
            yield chunk
        if self._announced is not None and received < self._announced:
            raise broke_off(self._url, f"ended after {received} of {self._announced} bytes")

    async def _next(self, pace: Pace, received: int) -> bytes:
        asked = self._clock()
        left_s = self._deadline - asked
        try:
            async with asyncio.timeout(max(0, min(pace.patience_s, left_s))):
                chunk = await self._response.content.readany()
        except TimeoutError:
            if pace.patience_s < left_s:
                what = f"below {self._settings.min_fetch_rate} bytes/s (RENDER_MIN_FETCH_RATE)"
            else:
                what = f"not at its end after {self._settings.fetch_timeout_ms} ms (RENDER_FETCH_TIMEOUT_MS)"
            raise no_progress(self._url, f"{what}, {received} bytes had come") from None
        except (aiohttp.ClientError, OSError):
            of_all = "" if self._announced is None else f" of {self._announced}"
            raise broke_off(self._url, f"broke off after {received}{of_all} bytes") from None
        pace.took(self._clock() - asked, len(chunk))
        return chunk

    def _judge(self, ask: Ask) -> Validator:
        """The validator, once everything that the head says is found to be fit."""
        headers = self._response.headers
        if self.status == HTTPStatus.NOT_MODIFIED and ask.unless is not None:
            return ask.unless
        is_part = self.status == HTTPStatus.PARTIAL_CONTENT and ask.span is not None
        if self.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and ask.same_as is not None:
            raise bad_answer(self._url, "the content has become shorter between two requests")
        if self.status != HTTPStatus.OK and not is_part:
            raise of_status(self._url, self.status, headers)
        encoding = headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise bad_answer(self._url, f"the body is encoded ({encoding[:20]}), unasked", retryable=False)
        size = self._announced
        if is_part and ask.span is not None:
            size = self._judge_range(ask.span)
        if size is not None and size > self._settings.max_source_bytes:
            raise too_large(self._url, size, self._settings.max_source_bytes, "RENDER_MAX_SOURCE_BYTES")
        if self._announced is not None and self._announced > self._limit:
            raise too_large(self._url, self._announced, self._limit, self._limit_name)
        validator = validator_of(headers, size)
        if ask.same_as is not None and not validator.agrees_with(ask.same_as):
            raise bad_answer(self._url, "the content has changed between two requests")
        return validator

    def _judge_range(self, asked: ByteSpan) -> int | None:
        """Take over the span that is carried; returns the size of the whole, if the server tells."""
        text = self._response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(text.strip())
        if match is None:
            raise bad_answer(self._url, "a part of the content that is not said to be which (Content-Range)")
        start, last = int(match[1]), int(match[2])
        size = None if match[3] == "*" else int(match[3])
        stop = asked[1] if size is None else min(asked[1], size)
        if (start, last + 1) != (asked[0], stop):
            raise bad_answer(
                self._url, f"bytes {start}-{last} came where {asked[0]}-{stop - 1} were asked for"
            )
        length = stop - start
        if self._announced is not None and self._announced != length:
            raise bad_answer(self._url, f"{self._announced} bytes were announced for a range of {length}")
        self._announced = length
        self.span = (start, stop)
        return size
