"""What of the log is taken along: the records about one mix, without what addresses may give away."""

import json
from dataclasses import replace

from stream_app.kafka.record import Record
from stream_app.telemetry.log import without_secrets
from topics.codec import read_object
from topics.registry import RENDER_CONFIG


def is_about(record: Record, mix_id: str) -> bool:
    """Whether a record is one of the mix, or a config, under which it may have been made."""
    if record.ref.topic == RENDER_CONFIG.name or record.key == mix_id.encode():
        return True
    value = read_object(record.value)
    return isinstance(value, dict) and value.get("mix_id") == mix_id


def redacted(record: Record) -> Record:
    """The record without user names and query strings in its addresses, as log lines are."""
    if record.value is None:
        return record
    value = read_object(record.value)
    if isinstance(value, dict):
        text = json.dumps(without_secrets(value), ensure_ascii=False)
    else:
        text = without_secrets(record.value.decode(errors="surrogateescape"))
    return replace(record, value=text.encode(errors="surrogateescape"))
