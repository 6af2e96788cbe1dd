"""Tell the events of a mix as they stand in the log, what is told already and what comes, one stream each."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from stream_app.api.documented import MixIdInPath, Responses, problems
from stream_app.api.parts import KAFKA_TIMEOUT_S, Parts, PartsOf, kafka_in_time, unavailable
from stream_app.api.problems import Problem, invalid
from stream_app.api.standing import no_such_mix, standing_of, undecided_after
from stream_app.domain.mix import Mix
from stream_app.kafka.follow import follow_mix
from stream_app.kafka.partitioning import home_partition
from stream_app.kafka.record import Record
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, Tombstone, read_event
from topics.events import FieldError, MixRejected
from topics.ids import RecordRef

router = APIRouter(prefix="/api/v1/mixes", tags=["events"])

BUFFERED = 100
"""Records read ahead of a client: a slow one holds up its own reading and nothing else."""

UNDECIDED_WAIT_S = 5.0
"""A request behind the end of a mix may have no effect, and then no event: it is waited for so long."""

RECONNECT_MS = 2000
_POSITION = re.compile(r"(?P<partition>[0-9]{1,4}):(?P<offset>[0-9]{1,18})", re.ASCII)

_FIRST_OFFSET = """
SELECT coalesce(
    (SELECT min(kafka_offset) FROM events
     WHERE topic = 'mix-events' AND mix_id = $mix_id AND kafka_partition = $partition),
    (SELECT next_offset FROM snapshot_info WHERE topic = 'mix-events' AND kafka_partition = $partition),
    0
) AS first
"""
"""Before it nothing is told of the mix: its first event stands there, or else comes after the snapshot."""

_EXAMPLE = """event: mix-rendered
data: {"type":"mix-rendered","mix_id":"demo-1","revision":1,"frames":5400}
id: 5:1234
retry: 2000

"""
_STREAM: Responses = {
    200: {"description": "the stream", "content": {"text/event-stream": {"example": _EXAMPLE}}}
}

log = get_logger()


async def _stream(
    parts: PartsOf,
    mix_id: MixIdInPath,
    *,
    follow: Annotated[
        bool, Query(description="go on after the mix's end, for revisions that may come")
    ] = False,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="id of the last event that was got: go on after it",
            max_length=64,
        ),
    ] = None,
) -> AsyncIterator[AsyncIterator[Record]]:
    """Everything that can go wrong is told before the stream begins."""
    after = _offset_in(last_event_id, mix_id) if last_event_id else -1
    standing = await standing_of(parts, mix_id)
    if not standing.is_known:
        raise no_such_mix(mix_id)
    async with (
        _place_among_streams(parts),
        _reading(parts, mix_id, standing.undecided, follow=follow) as records,
    ):
        yield (record async for record in records if record.ref.offset > after)


@router.get(
    "/{mix_id}/events",
    operation_id="streamEvents",
    summary="Follow the events of a mix",
    response_class=EventSourceResponse,
    responses=problems(404, 422, 503) | _STREAM,
)
async def stream_events(
    records: Annotated[AsyncIterator[Record], Depends(_stream)],
) -> AsyncIterator[ServerSentEvent]:
    """Every event of the mix in log order as a server-sent event, those of the past first, then live.

    `event` is the type, `data` the record's value as it stands in Kafka, `id` its place in the log,
    `partition:offset`. A client that comes back with `Last-Event-ID` goes on after that event, with none left
    out or told twice. The stream ends after the event that ends the mix, unless `follow` is set; a revision
    that was asked for before, and that no worker has decided on yet, is waited for. While nothing happens, a
    comment every 15 s keeps the connection up. So many streams at a time are served
    (`RENDER_API_MAX_STREAMS`); one more is a 503.
    """
    async for record in records:
        yield ServerSentEvent(
            id=f"{record.ref.partition}:{record.ref.offset}",
            event=_type_of(record),
            raw_data=(record.value or b"").decode(errors="replace"),
            retry=RECONNECT_MS,
        )


def _type_of(record: Record) -> str:
    """The record type in `ce_type` (`clipfold.mix-accepted.v1`), else the event's own word."""
    parts = (record.header("ce_type") or "").split(".")
    if len(parts) == 3:  # noqa: PLR2004 - prefix, name, version
        return parts[1]
    event = read_event(record.value)
    return "unreadable" if isinstance(event, Poison | Tombstone) else event.type


@asynccontextmanager
async def _place_among_streams(parts: Parts) -> AsyncIterator[None]:
    if parts.streams.locked():
        limit = parts.settings.api_max_streams
        raise unavailable(f"{limit} event streams are served already, and that is the most")
    async with parts.streams:
        metrics.API_STREAMS.inc()
        try:
            yield
        finally:
            metrics.API_STREAMS.dec()


@asynccontextmanager
async def _reading(
    parts: Parts, mix_id: str, undecided: frozenset[RecordRef], *, follow: bool
) -> AsyncIterator[AsyncIterator[Record]]:
    """Read in a task of its own: the client's leaving must not break off a Kafka client in mid-call."""
    (row,) = await parts.snapshot.rows(_FIRST_OFFSET, {"mix_id": mix_id, "partition": home_partition(mix_id)})
    queue: asyncio.Queue[Record | None] = asyncio.Queue(BUFFERED)
    connected = asyncio.Event()
    story = _Story(parts, mix_id, row["first"], undecided, follow=follow)
    reading = asyncio.create_task(story.read_into(queue, connected))
    waiting = asyncio.create_task(connected.wait())
    try:
        async with kafka_in_time():
            await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        yield _from(queue)
    finally:
        waiting.cancel()
        reading.cancel()
        await asyncio.wait({reading}, timeout=KAFKA_TIMEOUT_S)


async def _from(queue: asyncio.Queue[Record | None]) -> AsyncIterator[Record]:
    while (record := await queue.get()) is not None:
        yield record


class _Story:
    """The reading of one mix: to the log's end as it is now, and, unless the mix has ended there, live.

    `undecided` are requests that may bring an ended mix back to work: their events are waited for.
    """

    def __init__(
        self, parts: Parts, mix_id: str, first: int, undecided: frozenset[RecordRef], *, follow: bool
    ) -> None:
        self._parts = parts
        self._mix_id = mix_id
        self._next = first
        self._undecided = undecided
        self._follow = follow
        self._mix = Mix()
        self._rejected = False

    async def read_into(self, queue: asyncio.Queue[Record | None], connected: asyncio.Event) -> None:
        """Put every record into `queue`, and `None` after the last one."""
        try:
            await self._read(queue, connected, live=False)
            if self._follow or not self._is_told:
                await self._read(queue, connected, live=True)
        except (KafkaError, TimeoutError, OSError) as error:
            if not connected.is_set():
                raise
            # The client comes back by itself, and goes on where it was.
            log.warning("api.stream_broken", mix_id=self._mix_id, error=str(error) or type(error).__name__)
        except Exception as error:
            if not connected.is_set():
                raise
            log.exception("api.failed", mix_id=self._mix_id, error=str(error) or type(error).__name__)
        await queue.put(None)

    async def _read(
        self, queue: asyncio.Queue[Record | None], connected: asyncio.Event, *, live: bool
    ) -> None:
        settings = self._parts.settings
        last_at = time.monotonic()
        async with aclosing(follow_mix(settings, self._mix_id, live=live, start=self._next)) as records:
            async for record in records:
                connected.set()
                if self._parts.stop.is_set():
                    return
                if record is None:
                    if self._mix.end and not self._follow and time.monotonic() - last_at > UNDECIDED_WAIT_S:
                        return
                    continue
                last_at = time.monotonic()
                self._next = record.ref.offset + 1
                self._note(record)
                await queue.put(record)
                if live and self._is_told and not self._follow:
                    return
        connected.set()

    @property
    def _is_told(self) -> bool:
        """Whether the mix has ended. One that was only ever rejected has nothing more to tell."""
        only_rejected = self._rejected and self._mix.accepted is None
        return (self._mix.end is not None or only_rejected) and not self._undecided

    def _note(self, record: Record) -> None:
        event = read_event(record.value)
        if isinstance(event, Poison | Tombstone):
            return
        self._mix.apply(event)
        self._rejected = self._rejected or isinstance(event, MixRejected)
        self._undecided = undecided_after([event.caused_by], self._undecided)


def _offset_in(event_id: str, mix_id: str) -> int:
    match = _POSITION.fullmatch(event_id)
    if match is None or int(match["partition"]) != home_partition(mix_id):
        raise _no_event_of(mix_id)
    return int(match["offset"])


def _no_event_of(mix_id: str) -> Problem:
    message = f"is the id of no event of {mix_id}: leave it out to begin at the first"
    return invalid([FieldError(path="/header/Last-Event-ID", code="bad_position", message=message)])
