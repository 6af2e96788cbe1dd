"""What the headers of records mean, beside headers that the code of `topics` really makes."""

from collections.abc import Iterator

from field_tables import table

from topics.codec import Poison, encode
from topics.dead_letters import dead_letter
from topics.envelope import Headers, wrap
from topics.events import MixRejected
from topics.ids import RecordRef

_CLOUD_EVENT = {
    "content-type": "of the value",
    "ce_specversion": "CloudEvents version",
    "ce_id": "`event_id` of the value",
    "ce_source": "the process or role that sent it",
    "ce_type": "`clipfold.`, the record type, and the version of its schema",
    "ce_subject": "`mix_id` of the value",
    "ce_time": "`at_ms` of the value, RFC 3339",
    "traceparent": "W3C trace context: `trace_id` of the value, and this record as parent of what follows",
}
_DEAD_LETTER = {
    "dlq.error.class": "what kind of fault",
    "dlq.error.message": "the fault in words",
    "dlq.error.stage": "where it was found: `decode` (unreadable), `validate` (not as its schema says), ...",
    "dlq.topic": "topic that the record stands in",
    "dlq.partition": "its partition there",
    "dlq.offset": "its offset there",
    "dlq.timestamp": "its timestamp there, ms since 1970-01-01 UTC",
    "dlq.group": "consumer group that put it aside",
    "dlq.attempts": "how often it was tried",
}


def cloud_event_headers(example: MixRejected) -> Iterator[str]:
    """The table of headers of events and tasks."""
    yield from _rows(wrap(example, "intake"), _CLOUD_EVENT)


def dead_letter_headers(example: MixRejected) -> Iterator[str]:
    """The table of headers of dead letters, as if `example` had been one."""
    ref = RecordRef.parse(example.caused_by)
    why = Poison("not JSON: EOF while parsing a value at line 1 column 0")
    letter = dead_letter(
        ref, None, encode(example), (), why, timestamp_ms=example.submitted_at_ms, group="clipfold-intake"
    )
    yield from _rows(letter.headers, _DEAD_LETTER)


def _rows(headers: Headers, meanings: dict[str, str]) -> Iterator[str]:
    """Looks each meaning up: a header that nobody has described ends the script."""
    rows = ((f"`{name}`", f"`{value.decode()}`", meanings[name]) for name, value in headers)
    yield from table(("header", "example", "meaning"), rows)
