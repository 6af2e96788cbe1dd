"""What the log says of a mix, so that intake knows a mix from a repeated or a conflicting request.

Read from `mix-events` itself, partition by partition, before each decision: no table of our own could
disagree with the log. A mix's requests are decided on the partition of the same number as its events.
"""

from contextlib import suppress

import stamina
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.intake import KnownMix
from stream_app.kafka.clients import make_consumer
from stream_app.kafka.record import Record
from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger
from topics.codec import read_event
from topics.envelope import event_type
from topics.events import MixAccepted, MixCancelled, MixFailed, MixRendered
from topics.registry import MIX_EVENTS

POLL_MS = 500
WANTED_TYPES = {event_type(name) for name in ("mix-accepted", "mix-rendered", "mix-failed", "mix-cancelled")}
"""Clip events are most of the log and say nothing that intake needs: their values are not even parsed."""

log = get_logger()


class MixIndex:
    """Every mix of the partitions that were asked for, as of the end of the log at the time of asking."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions: dict[int, _PartitionIndex] = {}

    async def get(self, partition: int, mix_id: str) -> KnownMix | None:
        """What is known of a mix now; while Kafka is away this waits."""
        if partition not in self._partitions:
            self._partitions[partition] = _PartitionIndex(self._settings, partition)
        index = self._partitions[partition]
        async for attempt in stamina.retry_context(on=KafkaError, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                await index.catch_up()
        return index.mixes.get(mix_id)

    async def close(self) -> None:
        """Disconnect."""
        for index in self._partitions.values():
            await index.close()


class _PartitionIndex:
    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = TopicPartition(MIX_EVENTS.name, partition)
        self._consumer: AIOKafkaConsumer | None = None
        self._position = 0
        self.mixes: dict[str, KnownMix] = {}

    async def catch_up(self) -> None:
        try:
            consumer = self._consumer or await self._connect()
            end = (await consumer.end_offsets([self._partition]))[self._partition]
            while self._position < end:
                batches = await consumer.getmany(self._partition, timeout_ms=POLL_MS)
                for record in batches.get(self._partition, ()):
                    self._note(Record.of(record))
                self._position = await consumer.position(self._partition)
        except KafkaError:
            await self.close()
            raise

    async def close(self) -> None:
        if self._consumer is not None:
            with suppress(KafkaError):
                await self._consumer.stop()
            self._consumer = None

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = make_consumer(self._settings)
        await consumer.start()
        consumer.assign([self._partition])
        beginning = (await consumer.beginning_offsets([self._partition]))[self._partition]
        self._position = max(self._position, beginning)
        consumer.seek(self._partition, self._position)
        self._consumer = consumer
        return consumer

    def _note(self, record: Record) -> None:
        if record.header("ce_type") not in {None, *WANTED_TYPES}:
            return
        match read_event(record.value):
            case MixAccepted() as event:
                self.mixes[event.mix_id] = KnownMix(event.content_digest, event.caused_by, ended=False)
            case (MixRendered() | MixFailed() | MixCancelled()) as event if event.mix_id in self.mixes:
                known = self.mixes[event.mix_id]
                self.mixes[event.mix_id] = KnownMix(known.content_digest, known.caused_by, ended=True)
            case _:
                pass
