"""One trace for a whole mix, from a worker as its user runs it, at a receiver of traces."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fault_server import FaultServer
from tests.integration.cli.conftest import Machine
from tests.integration.render.roles import ROOT
from tests.otlp_receiver import facts, receiving_traces

SAMPLE = {"video_id": "neon-grid", "uri": "media/samples/neon-grid.mp4", "start_ms": 12_000}
GONE = {"video_id": "gone", "uri": "media/samples/gone.mp4", "start_ms": 0}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(ROOT / "media/samples").in_thread() as server:
        yield server


def request_of(machine: Machine, mix_id: str, *candidates: list[dict[str, Any]]) -> str:
    lines = [
        {"text": "", "start_ms": 1000 * number, "end_ms": 1000 * number + 1000, "candidates": each}
        for number, each in enumerate(candidates)
    ]
    return machine.request(mix_id, 0, song=None, lines=lines)


def by_name(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def test_a_mix_is_one_trace_from_request_to_join(machine: Machine, server: FaultServer) -> None:
    fetched = {
        "video_id": "ocean",
        "uri": server.url("/ocean-waves.mp4") + "?token=hunter2",
        "start_ms": 3_000,
    }
    request = request_of(machine, "traced", [SAMPLE], [fetched], [GONE, {**SAMPLE, "start_ms": 20_000}], [])
    with receiving_traces() as receiver:
        done = machine.type(
            "render",
            request,
            "--json",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            RENDER_ALLOW_CIDRS="127.0.0.0/8",
        )
        assert done.returncode == 0, done.stderr
        spans, secret_told = receiver.spans, any(b"hunter2" in body for body in receiver.bodies)
    told = json.loads(done.stdout)
    assert {span.trace_id.hex() for span in spans} == {told["trace_id"]}
    assert not secret_told
    assert Counter(span.name for span in spans) == {
        "request": 1,
        "task": 5,
        "attempt": 4,
        "fetch": 4,
        "cut": 3,
        "store": 3,
        "placeholder": 1,
        "join": 1,
    }
    assert_hang_together(spans)
    assert_tell(spans, told)


def assert_hang_together(spans: list[Span]) -> None:
    """Every span but the request's has its parent in the trace, of the kind that asks for it."""
    known = {span.span_id: span for span in spans}
    assert len(known) == len(spans)
    (request,) = by_name(spans, "request")
    assert request.parent_span_id == b""
    parents = {
        (span.name, known[span.parent_span_id].name) for span in spans if span.span_id != request.span_id
    }
    assert parents == {
        ("task", "request"),
        ("task", "task"),
        ("attempt", "task"),
        ("placeholder", "task"),
        *(("fetch", "attempt"), ("cut", "attempt"), ("store", "attempt")),
        ("join", "request"),
    }
    for span in spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano


def assert_tell(spans: list[Span], told: dict[str, Any]) -> None:
    assert {facts(span)["mix_id"] for span in spans} == {"traced"}
    (join,) = by_name(spans, "join")
    assert join.span_id.hex() == told["event_id"].replace("-", "")[:16]
    assert (facts(join)["frames"], facts(join)["placeholders"]) == (told["frames"], 1)
    (failed,) = (
        span for span in by_name(spans, "attempt") if span.status.code == span.status.STATUS_CODE_ERROR
    )
    assert (facts(failed)["video_id"], facts(failed)["reason"]) == ("gone", "source_missing")
    assert failed.status.message
    (placeholder,) = by_name(spans, "placeholder")
    assert facts(placeholder)["fallback_reason"] == "no_candidates"
    cut = next(span for span in by_name(spans, "attempt") if facts(span)["video_id"] == "ocean")
    assert facts(cut)["frames"] == 30
    assert facts(cut)["bytes"] > 0


def test_nothing_is_sent_unless_it_is_asked_for(machine: Machine) -> None:
    with receiving_traces() as receiver:
        done = machine.type("render", request_of(machine, "untraced", [SAMPLE]), "--json")
        assert done.returncode == 0, done.stderr
        assert receiver.bodies == []
    logged = (machine.artifacts / "logs" / "worker.log").read_text()
    assert "tracing." not in logged


def test_traces_that_nobody_takes_fail_no_mix(machine: Machine) -> None:
    with receiving_traces() as receiver:
        nobody = receiver.endpoint
    request = request_of(machine, "unheard", [SAMPLE], [])
    done = machine.type("render", request, "--json", OTEL_EXPORTER_OTLP_ENDPOINT=nobody)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["clip_stats"]["total_clips"] == 2
    assert machine.running() == []
