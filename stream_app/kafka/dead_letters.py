"""The quarantine as it stands in Kafka: what is in it, and sending some of it back to where it came from."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from stream_app.kafka.follow import read_topic
from stream_app.kafka.record import Record
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from topics.dead_letters import PREFIX, REDRIVEN
from topics.ids import RecordRef
from topics.registry import DEAD_LETTERS


@dataclass(frozen=True, slots=True)
class Letter:
    """A record in the quarantine.

    Attributes:
        record: as it stands there, its own headers and those that say why.
        origin: where it was refused.
        error: why.
        stage: at which step: decode, validate, intake ...
        group: the consumer group that refused it.
        redriven: where it was sent back to; None when it never was.
    """

    record: Record
    origin: RecordRef
    error: str
    stage: str
    group: str
    redriven: str | None = None


async def read_letters(settings: Settings) -> list[Letter]:
    """Every letter, oldest first."""
    async with aclosing(read_topic(settings, DEAD_LETTERS.name)) as reading:
        records = [record async for record in reading]
    sent = {
        letter: record.value.decode() if record.value else ""
        for record in records
        if (letter := record.header(REDRIVEN)) and record.header(f"{PREFIX}topic") is None
    }
    letters = (_letter(record, sent.get(str(record.ref))) for record in records)
    return [letter for letter in letters if letter is not None]


def _letter(record: Record, redriven: str | None) -> Letter | None:
    """None for what is no letter: a note of ours, or what somebody typed into the topic."""
    told = {
        name: record.header(PREFIX + name) or ""
        for name in ("topic", "partition", "offset", "error.message", "error.stage", "group")
    }
    try:
        origin = RecordRef.parse(f"{told['topic']}/{told['partition']}/{told['offset']}")
    except ValueError:
        return None
    return Letter(record, origin, told["error.message"], told["error.stage"], told["group"], redriven)


async def redrive(writer: Writer, letters: Sequence[Letter]) -> list[RecordRef]:
    """Send letters back, key, value and own headers as they were, and note it in the quarantine.

    A crash between the two sends a letter again when it is redriven again: what reads it must stand that, as
    it must with every redelivery.
    """
    sent = []
    for letter in letters:
        record = letter.record
        own = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
        mark = (REDRIVEN, str(record.ref).encode())
        sent.append(
            await writer.send(
                letter.origin.topic,
                record.key,
                record.value,
                [*own, mark],
                partition=letter.origin.partition,
            )
        )
        await writer.send(DEAD_LETTERS.name, record.key or b"", str(sent[-1]).encode(), [mark])
    return sent
