"""Read from the whole event log what is in use."""

import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from projections.fold import Place
from projections.log_reader import attach
from stream_app.domain.errors import OwnFaultError
from stream_app.domain.retention import LogUse
from stream_app.kafka.clients import FETCH_WAIT_MS, make_consumer, stop_consumer
from stream_app.settings import Settings
from topics.codec import Poison, Tombstone, read_event
from topics.registry import MIX_EVENTS

POLL_MS = 500
MAX_RECORDS = 2000
SILENCE_LIMIT_S = 60.0
"""A log that has more to give and gives nothing for so long is out of reach."""


async def read_use(settings: Settings) -> LogUse:
    """What the log says of every mix, from offset 0 to where it ends now.

    Raises:
        OwnFaultError: the topic is not there, or the log stopped answering.
        KafkaError: Kafka cannot be reached.
    """
    consumer = make_consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS)
    use = LogUse()
    try:
        ends = await attach(consumer, {}, (MIX_EVENTS.name,))
        heard_at = time.monotonic()
        while await _is_behind(consumer, ends):
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            for records in batches.values():
                for record in records:
                    _apply(use, record.key, record.value)
            if batches:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > SILENCE_LIMIT_S:
                raise OwnFaultError(f"Kafka gave nothing of {MIX_EVENTS.name} for {SILENCE_LIMIT_S:.0f} s")
    finally:
        await stop_consumer(consumer, settings)
    return use


def _apply(use: LogUse, key: bytes | None, value: bytes | None) -> None:
    match read_event(value):
        case Tombstone():
            pass
        case Poison():
            use.apply_unreadable(key, value or b"")
        case event:
            use.apply(event)


async def _is_behind(consumer: AIOKafkaConsumer, ends: dict[Place, int]) -> bool:
    for place, end in ends.items():
        if await consumer.position(TopicPartition(*place)) < end:
            return True
    return False
