"""Send a request as users do."""

import asyncio

from stream_app.domain.errors import UsageError
from stream_app.kafka.partitioning import home_partition
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from topics.codec import MAX_RECORD_BYTES
from topics.ids import RecordRef
from topics.registry import MIX_REQUESTS


async def submit_request(settings: Settings, mix_id: str, value: bytes) -> RecordRef:
    """Send a request; returns where it stands once Kafka has acknowledged it.

    Raises:
        UsageError: it is larger than a record may be.
        KafkaError, TimeoutError: Kafka is not there.
    """
    if len(value) > MAX_RECORD_BYTES:
        raise UsageError(
            f"the request has {len(value)} bytes, and a record at most {MAX_RECORD_BYTES}: split it"
        )
    writer = Writer(settings, "cli")
    async with asyncio.timeout(settings.kafka_request_timeout_ms / 1000):
        await writer.start()
        try:
            return await writer.send(
                MIX_REQUESTS.name, mix_id.encode(), value, partition=home_partition(mix_id)
            )
        finally:
            await writer.stop()
