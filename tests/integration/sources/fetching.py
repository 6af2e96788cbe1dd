"""What the tests of the client of sources share: limits that run out soon, and what came of a fetch."""

from ipaddress import ip_network
from traceback import format_exception
from typing import Any

import pytest
from fault_server import Fault

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.http import Answer, HttpClient
from topics.reasons import FallbackReason

CONTENT = bytes(range(256)) * 1200
PATH, TOKEN = "/a.mp4", "?token=not-for-logs"
CONNECT_S, ANSWER_S, RATE = 0.4, 0.4, 100_000
BUSY_S = 3.0
"""What a busy machine may add to a time."""

LOOPBACK = (ip_network("127.0.0.0/8"),)
CDN, UNREACHABLE, REFUSED, INVALID = (
    FallbackReason.CDN_ERROR,
    FallbackReason.CDNS_UNREACHABLE,
    FallbackReason.SOURCE_REFUSED,
    FallbackReason.SOURCE_INVALID,
)


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {"allow_cidrs": LOOPBACK}
    return Settings(_env_file=None, **(values | changes))


def impatient(**changes: Any) -> Settings:
    limits = {
        "fetch_connect_timeout_ms": int(CONNECT_S * 1000),
        "fetch_answer_timeout_ms": int(ANSWER_S * 1000),
        "min_fetch_rate": RATE,
    }
    return settings(**(limits | changes))


async def fetch(client: HttpClient, url: str, **asked: Any) -> tuple[Answer, bytes]:
    async with client.get(url, **asked) as answer:
        return answer, b"".join([chunk async for chunk in answer.chunks()])


async def failure(client: HttpClient, url: str, **asked: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await fetch(client, url, **asked)
    assert TOKEN not in "".join(format_exception(caught.value))
    return caught.value


def redirect(location: str, status: int = 302) -> Fault:
    return Fault(status=status, headers={"Location": location})
