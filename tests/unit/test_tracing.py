"""Traces never stand in the way of work, and cost nothing where nobody wants them."""

import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from pydantic import ValidationError

from stream_app.settings import Settings
from stream_app.telemetry import tracing
from stream_app.telemetry.log import configure_logging
from stream_app.telemetry.tracing import Span, exporting_traces
from tests.otlp_receiver import facts, receiving_traces

TRACE = "0af7651916cd43dd8448eb211c80319c"


def a_span(**changes: Any) -> Span:
    given: dict[str, Any] = {
        "name": "attempt",
        "trace_id": TRACE,
        "span_id": "b7ad6b7169203331",
        "parent_id": "00f067aa0ba902b7",
        "start_ms": 1_000,
        "end_ms": 1_500,
    }
    return Span(**given | changes)


def to(endpoint: str | None) -> Settings:
    return Settings(otlp_endpoint=endpoint)


async def test_a_span_arrives_with_the_ids_it_was_given() -> None:
    with receiving_traces() as receiver:
        async with exporting_traces(to(receiver.endpoint), "worker", "w1"):
            tracing.record(
                a_span(facts={"mix_id": "m1", "frames": 90, "recalled": False, "reason": None}),
                a_span(name="request", span_id="00f067aa0ba902b7", parent_id=None, is_from_kafka=True),
            )
        child, root = receiver.spans
    assert receiver.paths == {"/v1/traces"}
    assert receiver.services == {"clipfold-worker"}
    assert {child.trace_id.hex(), root.trace_id.hex()} == {TRACE}
    assert (child.span_id.hex(), child.parent_span_id.hex()) == ("b7ad6b7169203331", "00f067aa0ba902b7")
    assert (root.span_id.hex(), root.parent_span_id) == ("00f067aa0ba902b7", b"")
    assert (child.start_time_unix_nano, child.end_time_unix_nano) == (1_000_000_000, 1_500_000_000)
    assert facts(child) == {"mix_id": "m1", "frames": 90, "recalled": False}
    assert (child.status.code, root.kind) == (0, root.SPAN_KIND_CONSUMER)


async def test_secrets_and_what_addresses_carry_are_left_out() -> None:
    with receiving_traces() as receiver:
        async with exporting_traces(to(receiver.endpoint), "worker", "w1"):
            tracing.record(
                a_span(
                    facts={"uri": "https://ann:hunter2@cdn.example/a.mp4?sig=abc", "api_token": "hunter2"},
                    error="GET https://cdn.example/b.mp4?sig=abc failed",
                )
            )
        (span,) = receiver.spans
        assert not any(secret in body for body in receiver.bodies for secret in (b"hunter2", b"abc"))
    assert facts(span) == {"uri": "https://cdn.example/a.mp4"}
    assert span.status.message == "GET https://cdn.example/b.mp4 failed"


async def test_a_span_never_ends_before_it_begins() -> None:
    with receiving_traces() as receiver:
        async with exporting_traces(to(receiver.endpoint), "worker", "w1"):
            tracing.record(a_span(start_ms=2_000, end_ms=1_000))
        (span,) = receiver.spans
    assert span.start_time_unix_nano == span.end_time_unix_nano == 1_000_000_000


def test_without_an_endpoint_nothing_of_it_is_even_imported() -> None:
    program = (
        "import asyncio, sys\n"
        "import stream_app.app.serve, stream_app.app.worker\n"
        "from stream_app.settings import Settings\n"
        "from stream_app.telemetry import tracing\n"
        "async def run():\n"
        "    async with tracing.exporting_traces(Settings(otlp_endpoint=None), 'worker', 'w1'):\n"
        "        tracing.record(tracing.Span('join', '1' * 32, '2' * 16, None, 0, 1))\n"
        "asyncio.run(run())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.') and 'sdk' in name"
        " or name.startswith('opentelemetry.exporter')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_an_endpoint_that_takes_nothing_holds_nobody_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with exporting_traces(to(f"http://127.0.0.1:{mute.getsockname()[1]}"), "worker", "w1"):
            began = time.monotonic()
            for number in range(20_000):
                tracing.record(a_span(span_id=f"{number + 1:016x}"))
            recorded_s = time.monotonic() - began
            ending = time.monotonic()
        ended_s = time.monotonic() - ending
    assert recorded_s < 20
    assert ended_s < tracing.FLUSH_TIMEOUT_S + 5
    assert "tracing.spans_lost" in capsys.readouterr().out


async def test_a_span_that_cannot_be_written_fails_no_work(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    with receiving_traces() as receiver:
        async with exporting_traces(to(receiver.endpoint), "worker", "w1"):
            tracing.record(a_span(trace_id="no trace id"), a_span())
        assert len(receiver.spans) == 1
    assert "tracing.span_lost" in capsys.readouterr().out


def test_the_endpoint_has_its_standard_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert Settings().otlp_endpoint == "http://collector:4318"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")
    with pytest.raises(ValidationError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        Settings()
