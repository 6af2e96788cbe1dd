"""What the log says of a mix, so that intake knows a mix from a repeated or a conflicting request.

Read from `mix-events` itself, partition by partition, before each decision: no table of our own could
disagree with the log. A mix's requests are decided on the partition of the same number as its events.
"""

import stamina
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.known import KnownMix, noted
from stream_app.domain.mix import Mix
from stream_app.kafka.clients import make_consumer, stop_consumer
from stream_app.kafka.follow import recall_mix
from stream_app.kafka.record import Record
from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger
from topics.codec import Poison, Tombstone, read_event
from topics.envelope import event_type
from topics.registry import MIX_EVENTS

POLL_MS = 500
PASSED_OVER = {event_type(name) for name in ("clip-attempt-failed", "clip-completed", "clip-placeholder")}
"""These are most of the log; that they are there is all that intake keeps in mind of them."""

log = get_logger()


class MixIndex:
    """Every mix of the partitions that were asked for, as of the end of the log at the time of asking."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions: dict[int, _PartitionIndex] = {}

    async def get(self, partition: int, mix_id: str) -> tuple[KnownMix | None, int]:
        """What is known of a mix now, and where its partition ends; while Kafka is away this waits."""
        if partition not in self._partitions:
            self._partitions[partition] = _PartitionIndex(self._settings, partition)
        index = self._partitions[partition]
        async for attempt in stamina.retry_context(
            on=(KafkaError, OSError), attempts=None, timeout=None, wait_max=5.0
        ):
            with attempt:
                await index.catch_up()
        return index.mixes.get(mix_id), index.position

    async def story(self, mix_id: str, known: KnownMix) -> Mix:
        """The mix folded from the log: plans are large, so they are read again when one is needed."""
        return await recall_mix(self._settings, mix_id, known.log_start, known.log_end)

    async def close(self) -> None:
        """Disconnect."""
        for index in self._partitions.values():
            await index.close()


class _PartitionIndex:
    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = TopicPartition(MIX_EVENTS.name, partition)
        self._consumer: AIOKafkaConsumer | None = None
        self.position = 0
        self.mixes: dict[str, KnownMix] = {}

    async def catch_up(self) -> None:
        try:
            consumer = self._consumer or await self._connect()
            end = (await consumer.end_offsets([self._partition]))[self._partition]
            while self.position < end:
                batches = await consumer.getmany(self._partition, timeout_ms=POLL_MS)
                for record in batches.get(self._partition, ()):
                    self._note(Record.of(record))
                self.position = await consumer.position(self._partition)
        except (KafkaError, OSError):
            await self.close()
            raise

    async def close(self) -> None:
        if self._consumer is not None:
            await stop_consumer(self._consumer, self._settings)
            self._consumer = None

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = self._consumer = make_consumer(self._settings)
        await consumer.start()
        consumer.assign([self._partition])
        beginning = (await consumer.beginning_offsets([self._partition]))[self._partition]
        self.position = max(self.position, beginning)
        consumer.seek(self._partition, self.position)
        return consumer

    def _note(self, record: Record) -> None:
        mix_id = (record.key or b"").decode(errors="replace")
        event = None if record.header("ce_type") in PASSED_OVER else read_event(record.value)
        if isinstance(event, Poison | Tombstone):
            return
        known = noted(self.mixes.get(mix_id), event, record.ref.offset)
        if known is not None:
            self.mixes[mix_id] = known
