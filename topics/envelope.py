"""CloudEvents over Kafka: binary mode out; binary, structured and bare JSON in.

The attributes of an event ride in `ce_*` headers, so the value stays plain JSON, which kcat shows well.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from topics.codec import Poison, Tombstone, read_object
from topics.events import MixEvent
from topics.ids import traceparent
from topics.tasks import ClipTask

Headers = list[tuple[str, bytes | None]]
"""Of a record: kcat can send names without a value."""
STRUCTURED = "application/cloudevents+json"
TYPE_PREFIX = "clipfold."
VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in an envelope: the JSON object, and the CloudEvents and trace attributes beside it."""

    data: dict[str, Any]
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context that came with the record."""
        return self.attributes.get("traceparent")


def event_type(name: str) -> str:
    """The CloudEvents type of the record type `name`: `clipfold.mix-accepted.v1`."""
    return f"{TYPE_PREFIX}{name}.{VERSION}"


def wrap(record: MixEvent | ClipTask, source: str) -> Headers:
    """The headers that `record` travels with; `source` is the role that sends it, such as `intake`."""
    attributes = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": record.event_id,
        "ce_source": f"/clipfold/{source}",
        "ce_type": event_type(record.type),
        "ce_subject": record.mix_id,
        "ce_time": datetime.fromtimestamp(record.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "traceparent": traceparent(record.trace_id, record.event_id),
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def open_envelope(
    value: bytes | None, headers: Iterable[tuple[str, bytes | None]]
) -> Opened | Poison | Tombstone:
    """Take the data out of a record, whether it is bare JSON or a CloudEvent in either mode.

    A structured CloudEvent is known by its `content-type` or by its `specversion`, so that one typed by
    hand, without headers, is understood as well.
    """
    attributes = _header_attributes(headers)
    body = read_object(value)
    if not isinstance(body, dict):
        return body
    structured = attributes.get("content-type", "").lower().startswith(STRUCTURED) or "specversion" in body
    return _open_structured(body, attributes) if structured else Opened(body, attributes)


def _header_attributes(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Header names without their `ce_` prefix; a value that is no UTF-8 is replaced, never an error."""
    return {
        name.lower().removeprefix("ce_"): value.decode(errors="replace")
        for name, value in headers
        if value is not None
    }


def _open_structured(body: dict[str, Any], attributes: dict[str, str]) -> Opened | Poison | Tombstone:
    inside = {name: value for name, value in body.items() if isinstance(value, str) and name != "data"}
    data = _structured_data(body)
    return Opened(data, attributes | inside) if isinstance(data, dict) else data


def _structured_data(body: dict[str, Any]) -> dict[str, Any] | Poison | Tombstone:
    if "data_base64" in body:
        try:
            return read_object(base64.b64decode(body["data_base64"], validate=True))
        except (binascii.Error, TypeError, ValueError) as error:
            return Poison(f"data_base64 of the CloudEvent is not base64: {error}")
    if "data" not in body:
        return Poison("the CloudEvent has no data")
    data = body["data"]
    if isinstance(data, dict):
        return data
    return Poison(f"the CloudEvent's data is to be a JSON object, not {type(data).__name__}")
