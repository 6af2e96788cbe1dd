"""What went wrong while a source was fetched: from statuses and the libraries' errors to reasons."""

import errno
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import responses

import aiohttp
from yarl import URL

from stream_app.domain.errors import ClipfoldError, OwnFaultError, SourceError
from stream_app.sources.shown import shown
from topics.reasons import FallbackReason

MAX_WAIT_MS = 300_000
"""A server may ask for a longer pause than this; a line with other candidates should not be held so long."""

_RETRYABLE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

_OUR_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_BEFORE_THE_HEAD: tuple[tuple[type[Exception], FallbackReason, str], ...] = (
    (aiohttp.ClientConnectorDNSError, FallbackReason.CDNS_UNREACHABLE, "the host's name has no address"),
    (aiohttp.ClientConnectorCertificateError, FallbackReason.CDNS_UNREACHABLE, "the host cannot be trusted"),
    (aiohttp.ClientSSLError, FallbackReason.CDNS_UNREACHABLE, "TLS failed"),
    (aiohttp.ClientConnectorError, FallbackReason.CDNS_UNREACHABLE, "no connection"),
    (aiohttp.ClientConnectionError, FallbackReason.CDNS_UNREACHABLE, "the server hung up before its answer"),
    (aiohttp.InvalidURL, FallbackReason.SOURCE_REFUSED, "that is no address"),
    (aiohttp.ClientError, FallbackReason.CDN_ERROR, "the answer is no valid HTTP"),
)
"""The first row that fits counts."""


class FetchError(SourceError):
    """A source could not be fetched.

    Attributes:
        is_blip: it may be over in the next moment, so that it is worth another try at once.
        blames_host: the host as a whole is in doubt, not only this address.
    """

    def __init__(
        self,
        reason: FallbackReason,
        message: str,
        *,
        retryable: bool,
        retry_after_ms: int = 0,
        is_blip: bool = False,
        blames_host: bool = False,
    ) -> None:
        super().__init__(reason, message, stage="fetch", retryable=retryable, retry_after_ms=retry_after_ms)
        self.is_blip = is_blip
        self.blames_host = blames_host

    def came_from(self, url: URL) -> None:
        """Say which address redirected to the one that failed."""
        self.args = (f"{self} (redirected from {shown(url)})",)


def refused(message: str) -> FetchError:
    """The guard forbids it."""
    return FetchError(FallbackReason.SOURCE_REFUSED, message, retryable=False)


def bad_answer(url: URL, what: str, *, retryable: bool = True) -> FetchError:
    """A server answered, but with something that cannot be used."""
    return FetchError(FallbackReason.CDN_ERROR, f"{shown(url)}: {what}", retryable=retryable)


def broke_off(url: URL, what: str) -> FetchError:
    """A body that ended before its end: the rest may be had by asking for it at once."""
    return FetchError(FallbackReason.CDN_ERROR, f"{shown(url)}: {what}", retryable=True, is_blip=True)


def too_large(url: URL, size: int, limit: int, setting: str) -> FetchError:
    """More bytes than are let in."""
    return FetchError(
        FallbackReason.SOURCE_INVALID,
        f"{shown(url)} has {size} bytes or more; the limit is {limit} ({setting})",
        retryable=False,
    )


def no_progress(url: URL, what: str) -> FetchError:
    """A body that comes too slowly."""
    return bad_answer(url, f"too slow: {what}")


def no_answer(url: URL, what: str) -> FetchError:
    """The server did not do something in its time."""
    return FetchError(
        FallbackReason.CDNS_UNREACHABLE, f"{shown(url)}: {what}", retryable=True, blames_host=True
    )


def of_status(url: URL, status: int, headers: Mapping[str, str]) -> FetchError:
    """An error status; a wait that the server asks for is left to the caller."""
    is_server_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    wait_ms = retry_after_ms(headers.get("Retry-After", ""), datetime.now(UTC))
    return FetchError(
        FallbackReason.CDN_ERROR,
        f"{shown(url)}: {status} {responses.get(status, '')}",
        retryable=is_server_fault or status in _RETRYABLE,
        retry_after_ms=wait_ms,
        is_blip=is_server_fault and not wait_ms,
        blames_host=is_server_fault,
    )


def of_exception(url: URL, error: aiohttp.ClientError) -> ClipfoldError:
    """What kept the head of an answer from arriving."""
    if isinstance(error, OSError) and error.errno in _OUR_FAULTS:
        return OwnFaultError(f"no connection can be opened: {error.strerror}")
    reason, what = next((reason, what) for kind, reason, what in _BEFORE_THE_HEAD if isinstance(error, kind))
    is_unreachable = reason is FallbackReason.CDNS_UNREACHABLE
    return FetchError(
        reason,
        f"{shown(url)}: {what}{_detail(error)}",
        retryable=reason is not FallbackReason.SOURCE_REFUSED,
        is_blip=is_unreachable and not isinstance(error, aiohttp.ClientConnectorError),
        blames_host=is_unreachable,
    )


def retry_after_ms(value: str, now: datetime) -> int:
    """How long a `Retry-After` asks to wait, as seconds or as a date; 0 for none that can be read."""
    try:
        seconds = float(int(value))
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds()
        except (ValueError, OverflowError):
            return 0
    return int(min(max(seconds * 1000, 0), MAX_WAIT_MS))


def _detail(error: aiohttp.ClientError) -> str:
    # Never str(error): for several kinds it has the whole address, tokens included.
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f" ({error.certificate_error})"
    text = error.strerror if isinstance(error, OSError) else getattr(error, "message", None)
    # A parser's message goes on with the stranger's bytes.
    return f" ({text.splitlines()[0].rstrip(':')})" if isinstance(text, str) and text else ""
