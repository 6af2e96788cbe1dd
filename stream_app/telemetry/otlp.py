"""Send spans over OTLP (HTTP, protobuf) with OpenTelemetry's own exporter.

Its other standard variables hold too: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`,
`OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and so on.
"""

import logging
import os
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from stream_app.telemetry.tracing import Span

QUEUE_SIZE = 8192
"""Spans that wait to be sent, of a kilobyte each; while the endpoint is away the oldest are dropped."""

BATCH_SIZE = 512
BATCH_EVERY_MS = 1000
NS_PER_MS = 1_000_000


class OtlpSink:
    """Queues spans; a thread of its own sends them in batches."""

    def __init__(self, endpoint: str, role: str, instance: str) -> None:
        # requests' connection pool tells each connection at debug.
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        self._ids = _GivenIds()
        resource = Resource.create(
            {
                "service.name": os.environ.get("OTEL_SERVICE_NAME") or f"clipfold-{role}",
                "service.version": version("clipfold"),
                "service.instance.id": instance,
            }
        )
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"),
                max_queue_size=QUEUE_SIZE,
                max_export_batch_size=BATCH_SIZE,
                schedule_delay_millis=BATCH_EVERY_MS,
            )
        )
        self._tracer = self._provider.get_tracer("clipfold")

    def take(self, span: Span) -> None:
        """Queue a span; never waits. Call it from one thread."""
        self._ids.trace_id, self._ids.span_id = int(span.trace_id, 16), int(span.span_id, 16)
        written = self._tracer.start_span(
            span.name,
            context=set_span_in_context(_parent(span)),
            kind=SpanKind.CONSUMER if span.is_from_kafka else SpanKind.INTERNAL,
            attributes=span.attributes,
            # Clocks of two machines may differ: no span ends before it begins.
            start_time=min(span.start_ms, span.end_ms) * NS_PER_MS,
        )
        if span.error_shown is not None:
            written.set_status(Status(StatusCode.ERROR, span.error_shown))
        written.end(span.end_ms * NS_PER_MS)

    def close(self) -> None:
        """Send what is queued; may take long."""
        self._provider.shutdown()


class _GivenIds(IdGenerator):
    """Gives the next span the ids that were set."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


def _parent(span: Span) -> NonRecordingSpan:
    """Where the span hangs; at the root a parent that is none, so that no other span becomes it."""
    parent_id = int(span.parent_id or "0", 16)
    flags = TraceFlags(TraceFlags.SAMPLED)
    return NonRecordingSpan(SpanContext(int(span.trace_id, 16), parent_id, is_remote=True, trace_flags=flags))
