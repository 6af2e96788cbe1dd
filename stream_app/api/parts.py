"""What the endpoints of the API work with, put together once by the composition root."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated
from weakref import WeakValueDictionary

from aiokafka.errors import KafkaError
from fastapi import Depends, Request

from projections.reader import SnapshotReader
from projections.service import ProjectionService
from stream_app.api.problems import Problem
from stream_app.kafka.log_ends import LogEnds
from stream_app.kafka.request_watch import RequestWatch
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings

KAFKA_TIMEOUT_S = 4.0
"""Kafka answers in milliseconds; after so long it counts as away."""

MAX_QUERIES = 2
"""Queries that users typed run in processes of their own, and take a core and much memory each."""

RETRY_AFTER_S = "5"


@dataclass(frozen=True, slots=True)
class Parts:
    """The running parts of `serve` that the API asks.

    Attributes:
        stop: set when the program is to end: streams end then.
        streams: a place for each event stream that may be served at a time.
        queries: a place for each query of a user that may run at a time.
        turns: one lock for each mix that is asked for now: what is asked twice at once is sent once.
    """

    settings: Settings
    projection: ProjectionService
    snapshot: SnapshotReader
    requests: RequestWatch
    ends: LogEnds
    writer: Writer
    stop: asyncio.Event
    streams: asyncio.Semaphore
    queries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_QUERIES))
    turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)


def _parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts_of)]


@asynccontextmanager
async def kafka_in_time() -> AsyncIterator[None]:
    """Give what Kafka is asked inside a time limit.

    Raises:
        Problem: 503, because Kafka cannot be reached or does not answer in time.
    """
    try:
        async with asyncio.timeout(KAFKA_TIMEOUT_S):
            yield
    except (KafkaError, TimeoutError, OSError) as error:
        detail = "Kafka does not answer, so it is not known whether this was done; to ask again does no harm"
        raise unavailable(detail) from error


def unavailable(detail: str) -> Problem:
    """What cannot be answered now, and may be in a moment: 503."""
    return Problem(503, detail, headers={"Retry-After": RETRY_AFTER_S})
