import errno
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from yarl import URL

from stream_app.domain.errors import OwnFaultError
from stream_app.sources.fetch_error import (
    MAX_WAIT_MS,
    FetchError,
    of_exception,
    of_status,
    retry_after_ms,
)
from topics.reasons import FallbackReason

NOW = datetime(2024, 1, 1, tzinfo=UTC)
URL_WITH_TOKEN = URL("https://cdn.example/a.mp4?token=abc#x")


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        ("7", 7000),
        ("0", 0),
        ("-3", 0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90_000),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("999999999999", MAX_WAIT_MS),
        (format_datetime(NOW + timedelta(days=99), usegmt=True), MAX_WAIT_MS),
        ("", 0),
        ("soon", 0),
        ("1e9", 0),
        ("9" * 5000, 0),
        ("Mon, 01 Jan 99999 00:00:00 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 +2300", 0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, wait_ms: int) -> None:
    assert retry_after_ms(value, NOW) == wait_ms


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        *((status, False) for status in (204, 305, 400, 401, 403, 404, 410, 416)),
        *((status, True) for status in (408, 425, 429, 500, 502, 503, 599)),
    ],
)
def test_a_status_is_retryable_when_time_may_mend_it(status: int, retryable: bool) -> None:  # noqa: FBT001
    error = of_status(URL_WITH_TOKEN, status, {})
    assert (error.reason, error.retryable) == (FallbackReason.CDN_ERROR, retryable)
    assert error.blames_host == error.is_blip == (status >= 500)
    assert str(error).startswith(f"https://cdn.example/a.mp4: {status}")


def test_a_wait_that_the_server_asks_for_is_no_blip() -> None:
    error = of_status(URL_WITH_TOKEN, 503, {"Retry-After": "7"})
    assert (error.retry_after_ms, error.is_blip, error.blames_host) == (7000, False, True)


def test_a_lack_of_our_own_is_not_the_sources_fault() -> None:
    error = aiohttp.ClientOSError(errno.EMFILE, "Too many open files")
    assert isinstance(of_exception(URL_WITH_TOKEN, error), OwnFaultError)


def test_an_unknown_error_of_the_library_does_not_spill_tokens() -> None:
    error = of_exception(URL_WITH_TOKEN, aiohttp.NonHttpUrlClientError(URL_WITH_TOKEN))
    assert isinstance(error, FetchError)
    assert error.reason is FallbackReason.CDN_ERROR
    assert "abc" not in str(error)
