"""A consumed record, whichever client read it."""

from dataclasses import dataclass
from typing import Any, Self

from aiokafka import ConsumerRecord

from topics.envelope import Headers
from topics.ids import RecordRef


@dataclass(frozen=True, slots=True)
class Record:
    """Bytes as they stand in Kafka, and where."""

    ref: RecordRef
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @classmethod
    def of(cls, record: ConsumerRecord) -> Self:
        """From aiokafka's record."""
        ref = RecordRef(record.topic, record.partition, record.offset)
        return cls(ref, record.timestamp, record.key, record.value, list(record.headers))

    @classmethod
    def of_faust(cls, message: Any) -> Self:
        """From Faust's message, whose time is in seconds and whose headers may be a mapping."""
        ref = RecordRef(message.topic, message.partition, message.offset)
        headers = message.headers or ()
        pairs = headers.items() if hasattr(headers, "items") else headers
        return cls(ref, round(message.timestamp * 1000), message.key, message.value, list(pairs))

    def header(self, name: str) -> str | None:
        """The last header of that name that has a value (kcat can send ones without), as text."""
        values = [value for key, value in self.headers if key == name and value is not None]
        return values[-1].decode(errors="replace") if values else None
