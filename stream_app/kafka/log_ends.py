"""Ask where partitions end now, on a connection of its own: on a reader's, a question waits for its fetch."""

import asyncio

import stamina
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_app.kafka.clients import make_consumer, stop_consumer
from stream_app.settings import Settings

RETRY_WAIT_S = 0.5


class LogEnds:
    """Connects with the first question, and again after Kafka was away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._connecting = asyncio.Lock()

    async def end_of(self, partition: TopicPartition) -> int:
        """The offset after the last record of a partition; while Kafka is away this waits."""
        # Any: the client that is asked may be closed under the question, which has many names.
        async for attempt in stamina.retry_context(
            on=Exception, attempts=None, timeout=None, wait_max=RETRY_WAIT_S
        ):
            with attempt:
                consumer = await self._connected()
                try:
                    end: int = (await consumer.end_offsets([partition]))[partition]
                except Exception:
                    await self.aclose()
                    raise
        return end

    async def aclose(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer, self._settings)

    async def _connected(self) -> AIOKafkaConsumer:
        async with self._connecting:
            if self._consumer is None:
                consumer = make_consumer(self._settings)
                try:
                    await consumer.start()
                except BaseException:
                    await stop_consumer(consumer, self._settings)
                    raise
                self._consumer = consumer
        return self._consumer
