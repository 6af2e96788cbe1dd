"""Records as lines of JSON, the same as `kcat -J` prints them: what one writes the other reads.

kcat passes bytes that are no UTF-8 through as they are, and so does this: nothing of a record is lost.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from stream_app.domain.errors import UsageError
from stream_app.kafka.record import Record
from topics.ids import RecordRef

_SHOWN = 200
"""Characters of a wrong line that its error shows."""


def dumped(record: Record) -> bytes:
    """The record as one line, without the newline."""
    fields: dict[str, Any] = {
        "topic": record.ref.topic,
        "partition": record.ref.partition,
        "offset": record.ref.offset,
        "tstype": "create",
        "ts": record.timestamp_ms,
        "headers": [text for name, value in record.headers for text in (name, _text(value))],
        "key": _text(record.key),
        "payload": _text(record.value),
    }
    if not fields["headers"]:
        del fields["headers"]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogateescape")


def read_dump(lines: Iterable[bytes], name: str) -> Iterator[Record]:
    """The records in a dump, in its order; empty lines are passed over.

    Args:
        lines: of the dump, with or without their newlines.
        name: what the dump is called in errors.

    Raises:
        UsageError: a line is no record; it is named by its number.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _record(json.loads(line.decode(errors="surrogateescape")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            shown = line[:_SHOWN].decode(errors="replace").strip()
            raise UsageError(
                f"{name}, line {number} is no record as `kcat -J` prints it ({error!r}): {shown}"
            ) from error


def _record(told: dict[str, Any]) -> Record:
    headers = told.get("headers") or []
    return Record(
        RecordRef(told["topic"], int(told["partition"]), int(told["offset"])),
        int(told["ts"]),
        _bytes(told.get("key")),
        _bytes(told["payload"]),
        [(name, _bytes(value)) for name, value in zip(headers[::2], headers[1::2], strict=True)],
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="surrogateescape")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode(errors="surrogateescape")
