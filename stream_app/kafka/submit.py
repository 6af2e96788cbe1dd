"""Send a request as users do."""

import asyncio

from stream_app.domain.errors import UsageError
from stream_app.kafka.partitioning import home_partition
from stream_app.kafka.writer import Writer, open_writer
from stream_app.settings import Settings
from topics.codec import MAX_RECORD_BYTES
from topics.envelope import Headers
from topics.ids import RecordRef
from topics.registry import MIX_REQUESTS


async def submit_request(settings: Settings, mix_id: str, value: bytes) -> RecordRef:
    """Send a request; returns where it stands once Kafka has acknowledged it.

    Raises:
        UsageError: it is larger than a record may be.
        KafkaError, TimeoutError: Kafka is not there.
    """
    limit = asyncio.timeout(settings.kafka_request_timeout_ms / 1000)
    async with limit, open_writer(settings, "cli") as writer:
        return await send_request(writer, mix_id, value)


async def send_request(
    writer: Writer, mix_id: str, value: bytes, headers: Headers | None = None
) -> RecordRef:
    """Send a request through a writer that is there; the same promise as `submit_request`.

    Raises:
        UsageError: it is larger than a record may be.
    """
    if len(value) > MAX_RECORD_BYTES:
        raise UsageError(
            f"the request has {len(value)} bytes, and a record at most {MAX_RECORD_BYTES}: split it"
        )
    partition = home_partition(mix_id)
    return await writer.send(MIX_REQUESTS.name, mix_id.encode(), value, headers or (), partition=partition)
