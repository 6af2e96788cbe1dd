"""Our 40 lines of CloudEvents, held against the CloudEvents SDK in both directions."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_kafka_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from topics.codec import Poison, Tombstone, encode, read_event, read_task
from topics.envelope import STRUCTURED, Headers, Opened, event_type, open_envelope, wrap
from topics.events import MixEvent
from topics.tasks import ClipTask

EXAMPLES = Path(__file__).resolve().parents[3] / "topics" / "examples"
WRAPPED = sorted(
    path.name.split(".")[0]
    for path in EXAMPLES.iterdir()
    if not path.name.startswith(("mix-request.", "mix-revise.", "mix-cancel.", "render-config."))
)
REQUEST = {"mix_id": "demo-1", "lines": [{"start_ms": 0, "end_ms": 3000, "text": "ünï"}]}
BARE = json.dumps(REQUEST).encode()
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ATTRIBUTES = {
    "id": "7",
    "source": "/people/ann",
    "type": "clipfold.mix-request.v1",
    "specversion": "1.0",
    "time": datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    "datacontenttype": "application/json",
    "traceparent": TRACEPARENT,
}


def record(name: str) -> MixEvent | ClipTask:
    raw = (EXAMPLES / f"{name}.v1.json").read_bytes()
    read = read_task(raw) if name == "clip-task" else read_event(raw)
    assert isinstance(read, MixEvent | ClipTask)
    return read


def opened(value: bytes | None, headers: Any = ()) -> Opened:
    result = open_envelope(value, headers)
    assert isinstance(result, Opened), result
    return result


def message_of(value: bytes, headers: Headers) -> KafkaMessage:
    return KafkaMessage(headers=dict(headers), key=None, value=value)


@pytest.mark.parametrize("name", WRAPPED)
def test_the_sdk_understands_what_we_send(name: str) -> None:
    sent = record(name)
    event = from_kafka_event(message_of(encode(sent), wrap(sent, "intake")))
    assert event.get_id() == sent.event_id
    assert event.get_type() == f"clipfold.{name}.v1" == event_type(name)
    assert event.get_source() == "/clipfold/intake"
    assert event.get_subject() == sent.mix_id
    assert event.get_specversion() == "1.0"
    assert event.get_datacontenttype() == "application/json"
    time = event.get_time()
    assert time is not None
    assert round(time.timestamp() * 1000) == sent.at_ms
    assert event.get_data() == json.loads(encode(sent))


@pytest.mark.parametrize("name", WRAPPED)
def test_what_we_send_comes_back_when_we_open_it(name: str) -> None:
    sent = record(name)
    got = opened(encode(sent), wrap(sent, "intake"))
    assert got.data == json.loads(encode(sent))
    assert got.attributes["id"] == sent.event_id
    assert got.attributes["type"] == f"clipfold.{name}.v1"
    assert got.traceparent == f"00-{sent.trace_id}-{sent.event_id.replace('-', '')[:16]}-01"


@pytest.mark.parametrize("at_ms", [0, 1, 999, 1_764_000_000_001, 1_764_000_000_999, 4_102_444_799_999])
def test_the_time_is_exact_to_the_millisecond(at_ms: int) -> None:
    headers = dict(wrap(record("mix-failed").model_copy(update={"at_ms": at_ms}), "assembler"))
    time = datetime.fromisoformat(headers["ce_time"].decode())
    assert (time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 == pytest.approx(at_ms, abs=0.01)


def test_bare_json_is_understood() -> None:
    assert opened(BARE) == Opened(REQUEST, {})


def test_binary_mode_of_the_sdk_is_understood() -> None:
    message = to_binary_event(CloudEvent(ATTRIBUTES, REQUEST))
    got = opened(message.value, list(message.headers.items()))
    assert got.data == REQUEST
    assert got.attributes == {
        "id": "7",
        "source": "/people/ann",
        "type": "clipfold.mix-request.v1",
        "specversion": "1.0",
        "time": "2026-01-02T03:04:05.678000Z",
        "content-type": "application/json",
        "traceparent": TRACEPARENT,
    }


@pytest.mark.parametrize("with_headers", [True, False], ids=["with headers", "typed without headers"])
def test_structured_mode_of_the_sdk_is_understood(with_headers: bool) -> None:  # noqa: FBT001
    message = to_structured_event(CloudEvent(ATTRIBUTES, REQUEST))
    got = opened(message.value, list(message.headers.items()) if with_headers else ())
    assert got.data == REQUEST
    assert got.attributes["id"] == "7"
    assert got.attributes["type"] == "clipfold.mix-request.v1"
    assert got.traceparent == TRACEPARENT


def test_structured_mode_with_data_in_base64_is_understood() -> None:
    message = to_structured_event(
        CloudEvent(ATTRIBUTES | {"datacontenttype": "application/octet-stream"}, BARE)
    )
    assert b"data_base64" in message.value
    assert opened(message.value, list(message.headers.items())).data == REQUEST
    assert opened(message.value).data == REQUEST


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.integers(-(2**53), 2**53) | st.text(max_size=5) | st.booleans() | st.none(),
        max_size=5,
    )
)
def test_any_object_survives_both_modes_of_the_sdk(data: dict[str, Any]) -> None:
    event = CloudEvent(ATTRIBUTES, data)
    binary, structured = to_binary_event(event), to_structured_event(event)
    assert opened(structured.value, list(structured.headers.items())).data == data
    # In binary mode an object that has the marks of a structured event is taken for one.
    if "specversion" not in data:
        assert opened(binary.value, list(binary.headers.items())).data == data


@pytest.mark.parametrize(
    "content_type",
    [STRUCTURED, f"{STRUCTURED}; charset=UTF-8", "Application/CloudEvents+JSON"],
)
def test_the_content_type_alone_marks_structured_mode(content_type: str) -> None:
    body = json.dumps({"id": "7", "data": REQUEST}).encode()
    assert opened(body, [("Content-Type", content_type.encode())]).data == REQUEST


def test_the_trace_context_comes_from_a_plain_header_too() -> None:
    assert opened(BARE, [("traceparent", TRACEPARENT.encode())]).traceparent == TRACEPARENT
    assert opened(BARE, [("ce_traceparent", TRACEPARENT.encode())]).traceparent == TRACEPARENT
    assert opened(BARE).traceparent is None


def test_the_last_of_equal_headers_counts_and_empty_ones_do_not() -> None:
    got = opened(BARE, [("ce_id", b"1"), ("ce_id", b"2"), ("ce_subject", None), ("other", b"\xff")])
    assert got.attributes == {"id": "2", "other": "\ufffd"}


@pytest.mark.parametrize(
    "body",
    [
        {"specversion": "1.0"},
        {"specversion": "1.0", "data": None},
        {"specversion": "1.0", "data": [REQUEST]},
        {"specversion": "1.0", "data": "text"},
        {"specversion": "1.0", "data_base64": None},
        {"specversion": "1.0", "data_base64": 7},
        {"specversion": "1.0", "data_base64": "no base64!"},
        {"specversion": "1.0", "data_base64": "é"},
        {"specversion": "1.0", "data_base64": "!" + base64.b64encode(BARE).decode()},
        {"specversion": "1.0", "data_base64": base64.b64encode(b"[1]").decode()},
        {"specversion": "1.0", "data_base64": base64.b64encode(b'{"a":NaN}').decode()},
    ],
)
def test_a_cloud_event_without_an_object_is_poison(body: dict[str, Any]) -> None:
    got = open_envelope(json.dumps(body).encode(), ())
    assert isinstance(got, Poison)
    assert got.error


def test_no_value_is_a_tombstone_whatever_the_headers() -> None:
    assert open_envelope(None, [("content-type", STRUCTURED.encode())]) == Tombstone()


@given(st.binary() | st.none(), st.lists(st.tuples(st.text(), st.binary() | st.none())))
def test_nothing_makes_opening_raise(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    assert isinstance(open_envelope(value, headers), Opened | Poison | Tombstone)


@given(
    st.dictionaries(
        st.sampled_from(["specversion", "data", "data_base64", "id"]), st.text() | st.none() | st.integers()
    )
)
def test_no_cloud_event_makes_opening_raise(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    assert isinstance(open_envelope(raw, [("content-type", STRUCTURED.encode())]), Opened | Poison)
