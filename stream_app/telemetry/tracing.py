"""OpenTelemetry traces: what was done for a mix, as one tree of spans, sent where the user wants them.

A span is written when its work has ended. Its ids are those of the records that the work is about, which
every event, log line and `traceparent` header carries: so processes need not tell each other anything.
Without an endpoint nothing is sent, and nothing of OpenTelemetry is imported.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger, hide_secrets

FLUSH_TIMEOUT_S = 3.0
"""What is left gets so long to be sent when a process ends; then it is given up."""

Attribute = str | int | bool

log = get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """Work that has ended.

    Attributes:
        name: what kind of work, out of few.
        trace_id: of the mix, 32 hex digits.
        span_id: 16 hex digits; see `span_id_of`.
        parent_id: span of the work that asked for it; None at the root.
        start_ms: when it began, ms since 1970-01-01 UTC.
        end_ms: when it ended.
        facts: what is to be known of it; None is left out.
        error: why it failed, in words.
        is_from_kafka: whether a record asked for it.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start_ms: int
    end_ms: int
    facts: Mapping[str, Attribute | None] = field(default_factory=dict)
    error: str | None = None
    is_from_kafka: bool = False

    @property
    def attributes(self) -> dict[str, Attribute]:
        """The facts under names of our own, without secrets and what addresses carry."""
        told = hide_secrets(None, "", {key: fact for key, fact in self.facts.items() if fact is not None})
        return {f"clipfold.{key}": fact for key, fact in told.items()}

    @property
    def error_shown(self) -> str | None:
        """The error, without what addresses carry."""
        return None if self.error is None else str(hide_secrets(None, "", {"error": self.error})["error"])


class Sink(Protocol):
    """Where spans go; see `stream_app.telemetry.otlp`."""

    def take(self, span: Span) -> None:
        """Queue a span; never waits."""

    def close(self) -> None:
        """Send what is queued; may take long."""


class _Process:
    """What this process sends its spans to."""

    sink: Sink | None = None


def record(*spans: Span) -> None:
    """Send spans, if they are wanted anywhere. Work goes on at once and is never failed by it."""
    sink = _Process.sink
    if sink is None:
        return
    for span in spans:
        try:
            sink.take(span)
        except Exception as error:  # noqa: BLE001 - no fault of an exporter is worth a clip
            log.warning("tracing.span_lost", trace_id=span.trace_id, span=span.name, error=str(error))


@asynccontextmanager
async def exporting_traces(settings: Settings, role: str, instance: str) -> AsyncIterator[None]:
    """Have what is recorded inside sent to the endpoint that the settings name, if any."""
    if settings.otlp_endpoint is None:
        yield
        return
    from stream_app.telemetry.otlp import OtlpSink  # noqa: PLC0415 - costs nothing unless it is wanted

    sink = _Process.sink = OtlpSink(settings.otlp_endpoint, role, instance)
    try:
        yield
    finally:
        _Process.sink = None
        await _close_in_time(sink)


async def _close_in_time(sink: Sink) -> None:
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        try:
            sink.close()
        finally:
            with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
                loop.call_soon_threadsafe(closed.set)

    # A daemon, unlike those of the loop's pool: an endpoint that hangs does not keep the process.
    threading.Thread(target=close, name="tracing-close", daemon=True).start()
    try:
        await asyncio.wait_for(closed.wait(), FLUSH_TIMEOUT_S)
    except TimeoutError:
        log.warning("tracing.spans_lost", error=f"the endpoint took no spans within {FLUSH_TIMEOUT_S} s")
