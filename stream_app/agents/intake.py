"""Intake: each record of `mix-requests` becomes facts and tasks, or a dead letter; nothing else leaves it."""

from collections.abc import Callable

import faust

from stream_app.agents.mix_index import MixIndex
from stream_app.clock import Clock
from stream_app.domain.config import ConfigInForce
from stream_app.domain.intake import Asked, Decision, Moment, decide, mix_id_of, needs_story
from stream_app.kafka.partitioning import ORIGIN_HEADER, home_partition
from stream_app.kafka.record import Record
from stream_app.kafka.writer import Writer
from stream_app.telemetry import metrics, tracing
from stream_app.telemetry.log import get_logger
from stream_app.telemetry.tracing import Span
from topics.codec import Poison, Tombstone
from topics.envelope import Opened, open_envelope
from topics.events import MixAccepted, MixCancelled, MixEvent, MixRejected
from topics.groups import INTAKE_GROUP
from topics.ids import RecordRef, parent_span_in, span_id_of, trace_id_of
from topics.registry import MIX_REQUESTS

MAX_ERRORS_TOLD = 5
MAX_ERROR_CHARS = 500
"""A rejected request may have thousands of errors, all of which its event has: the log says the first."""

log = get_logger()


class Intake:
    """Decides on requests, one after the other for each partition."""

    def __init__(
        self,
        index: MixIndex,
        writer: Writer,
        config: Callable[[], ConfigInForce],
        clock: Clock,
        clips_kept_ms: int | None = None,
    ) -> None:
        self._index = index
        self._writer = writer
        self._config = config
        self._clock = clock
        self._clips_kept_ms = clips_kept_ms

    async def handle(self, record: Record) -> None:
        """Take one request to its end. Never raises: Faust would count a raised record as done."""
        try:
            await self._handle(record)
        except Exception as error:
            log.exception("intake.failed", record=str(record.ref))
            why = Poison(f"{type(error).__name__}: {error}", stage="intake")
            await self._writer.put_aside(record, why, INTAKE_GROUP)

    async def _handle(self, record: Record) -> None:
        opened = open_envelope(record.value, record.headers)
        if isinstance(opened, Tombstone):
            opened = Poison("the record has no value")
        if isinstance(opened, Poison):
            await self._writer.put_aside(record, opened, INTAKE_GROUP)
            return
        origin = RecordRef.parse(record.header(ORIGIN_HEADER) or str(record.ref))
        mix_id = mix_id_of(opened.data, record.key, origin)
        home = home_partition(mix_id)
        if home != record.ref.partition:
            await self._forward(record, mix_id, home)
        else:
            await self._decide(record, opened, origin, mix_id)

    async def _forward(self, record: Record, mix_id: str, home: int) -> None:
        """Move a request to where its mix belongs: the sender's key or partitioner led elsewhere."""
        headers = [*record.headers, (ORIGIN_HEADER, str(record.ref).encode())]
        await self._writer.send(
            MIX_REQUESTS.name,
            mix_id.encode(),
            record.value,
            headers,
            partition=home,
            timestamp_ms=record.timestamp_ms,
        )

    async def _decide(self, record: Record, opened: Opened, origin: RecordRef, mix_id: str) -> None:
        asked = Asked(opened.data, origin, record.timestamp_ms, mix_id, opened.traceparent)
        known, log_end = await self._index.get(record.ref.partition, mix_id)
        story = await self._index.story(mix_id, known) if known and needs_story(asked, known) else None
        moment = Moment(self._config().version, log_end, self._clock(), self._clips_kept_ms)
        decision = decide(asked, known, story, moment)
        for event in decision.events:
            await self._writer.send_event(event)
        await self._writer.send_tasks(decision.tasks)
        metrics.REQUESTS.labels(decision.result).inc()
        _tell(asked, decision)
        tracing.record(*(_span(asked, event, decision, self._clock()) for event in decision.events))


def _tell(asked: Asked, decision: Decision) -> None:
    """The one line of a request."""
    log.info(
        "intake.decided",
        result=decision.result,
        mix_id=asked.mix_id,
        trace_id=trace_id_of(asked.traceparent, asked.ref),
        request=str(asked.ref),
        tasks=len(decision.tasks),
        **{name: fact for event in decision.events for name, fact in _facts(event).items()},
    )


def _facts(event: MixEvent) -> dict[str, int | str | None]:
    """What is to be known of what was decided, on one line however much it is."""
    match event:
        case MixAccepted():
            return {
                "revision": event.revision,
                "lines": event.total_clips,
                "frames": event.total_frames,
                "priority": event.priority,
                "config_version": event.config_version,
            }
        case MixRejected():
            shown = "; ".join(f"{each.path}: {each.code}" for each in event.errors[:MAX_ERRORS_TOLD])
            return {"errors": len(event.errors), "error": shown[:MAX_ERROR_CHARS]}
        case MixCancelled():
            return {"revision": event.revision, "reason": event.reason}
        case _:
            return {}


def _span(asked: Asked, event: MixEvent, decision: Decision, now_ms: int) -> Span:
    """The request, from when it was sent until all that it led to was in Kafka: the root of its mix."""
    facts = _facts(event)
    return Span(
        "request",
        event.trace_id,
        span_id_of(event.event_id),
        parent_span_in(asked.traceparent or ""),
        asked.submitted_at_ms,
        now_ms,
        {"mix_id": event.mix_id, "request": str(asked.ref), "result": decision.result, **facts},
        error=str(facts["error"]) if "error" in facts else None,
        is_from_kafka=True,
    )


def declare_intake(app: faust.App, intake: Intake) -> None:
    """Have Faust hand each record of `mix-requests` to `intake`, one at a time."""
    topic = app.topic(
        MIX_REQUESTS.name,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
        partitions=MIX_REQUESTS.partitions,
    )

    @app.agent(topic, name="intake")
    async def intake_agent(requests: faust.StreamT[bytes]) -> None:
        async for event in requests.events():
            await intake.handle(Record.of_faust(event.message))
