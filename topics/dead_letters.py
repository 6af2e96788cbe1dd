"""The quarantine `dead-letters`: original key and bytes, and in headers why and where from."""

from collections.abc import Iterable
from dataclasses import dataclass

from topics.codec import Poison
from topics.ids import RecordRef

PREFIX = "dlq."
REDRIVEN = f"{PREFIX}redriven"
"""Names the letter that was sent back: on what was sent, and on the note of it in the quarantine."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used, ready to be sent to the quarantine."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def dead_letter(
    ref: RecordRef,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
    why: Poison,
    *,
    timestamp_ms: int,
    group: str,
    attempts: int = 1,
) -> DeadLetter:
    """Put a record aside: its bytes and own headers untouched, with `dlq.*` headers that say why.

    `group` is the consumer group that refused it, `attempts` how often it was tried.
    """
    reasons = {
        "error.class": Poison.__name__,
        "error.message": why.error,
        "error.stage": why.stage,
        "topic": ref.topic,
        "partition": ref.partition,
        "offset": ref.offset,
        "timestamp": timestamp_ms,
        "group": group,
        "attempts": attempts,
    }
    return DeadLetter(
        key, value, [*headers, *((PREFIX + name, str(reason).encode()) for name, reason in reasons.items())]
    )
