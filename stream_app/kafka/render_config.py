"""Follow the compacted topic `render-config`: read it to its end, then fold each record as it comes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.config import (
    ConfigInForce,
    ConfigRecord,
    ConfigState,
    Step,
    Verdict,
    apply_record,
    default_config,
)
from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.clients import make_consumer, stop_consumer
from stream_app.kafka.record import Record
from stream_app.settings import Settings
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.config import ACTOR_HEADER, CONFIG_KEY
from topics.registry import RENDER_CONFIG

POLL_MS = 200
"""A poll waits for so long at most: the delay with which a stop is noticed. A record ends it at once."""

REBUILD_DELAY_S = 1.0
KEPT = 10_000
"""Records that are remembered with what became of them. A compacted topic has fewer."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """A record with what became of it, when it was logged, and who sent it when it says so."""

    step: Step
    at_ms: int
    actor: str | None


class RenderConfigReader:
    """Holds what this process has read of the topic.

    Args:
        settings: where Kafka is, and the default of `max_parallelism`.
        on_change: called after every record that was read once `ready` is set.
        complains: whether refused records are logged and counted, as a process that obeys the config does.
    """

    def __init__(
        self,
        settings: Settings,
        on_change: Callable[[Step], None] = lambda _: None,
        *,
        complains: bool = True,
    ) -> None:
        self._settings = settings
        self._default = default_config(settings.clip_concurrency)
        self._partition = TopicPartition(RENDER_CONFIG.name, 0)
        self._position: int | None = None
        self._records_read = 0
        self._moved = asyncio.Condition()
        self._told: dict[int, Told] = {}
        self.on_change = on_change
        self._complains = complains
        self.state = ConfigState(self._default)
        self.ready = asyncio.Event()
        """Set once the topic has been read to its end."""

    @property
    def current(self) -> ConfigInForce:
        """What the records read so far come to."""
        return self.state.in_force

    def told(self, offset: int) -> Told | None:
        """What became of the record at `offset`; `None`: none of the key stands there, or it is forgotten."""
        return self._told.get(offset)

    def told_after(self, offset: int) -> list[Told]:
        """The records behind `offset`, as far back as they are remembered, in log order."""
        return [told for at, told in self._told.items() if at > offset]

    async def read_to(self, offset: int) -> None:
        """Return when the record at `offset` has been read; while Kafka is away this waits."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._position is not None and self._position > offset)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`; after a failure of Kafka go on where it broke off."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except (KafkaError, OSError) as error:
                log.warning("kafka.config_reader_rebuilt", error=str(error) or type(error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), REBUILD_DELAY_S)

    async def _follow(self, stop: asyncio.Event) -> None:
        consumer = make_consumer(self._settings)
        try:
            await consumer.start()
            consumer.assign([self._partition])
            beginning = (await consumer.beginning_offsets([self._partition]))[self._partition]
            end = (await consumer.end_offsets([self._partition]))[self._partition]
            await self._move_to(beginning if self._position is None else self._position)
            consumer.seek(self._partition, self._position)
            while not stop.is_set():
                if not self.ready.is_set() and (self._position or 0) >= end:
                    self._begin(topic_is_empty=beginning == end)
                await self._poll(consumer)
        finally:
            await stop_consumer(consumer, self._settings)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(self._partition, timeout_ms=POLL_MS)
        for record in batches.get(self._partition, ()):
            self._records_read += 1
            if record.key == CONFIG_KEY.encode():
                self._apply(record)
        # Not the last record's offset + 1: compaction leaves gaps, and the end may lie in one.
        await self._move_to(await consumer.position(self._partition))

    async def _move_to(self, position: int) -> None:
        async with self._moved:
            self._position = position
            self._moved.notify_all()

    def _apply(self, record: ConsumerRecord) -> None:
        if record.offset <= self.state.read_to:
            return
        step = apply_record(
            self.state, self._default, ConfigRecord.of(record.offset, record.value, record.headers)
        )
        self.state = step.state
        # A bad value may have 16 MiB, and nobody asks for it again.
        step = replace(step, record=replace(step.record, value=None))
        self._told[record.offset] = Told(step, record.timestamp, Record.of(record).header(ACTOR_HEADER))
        if len(self._told) > KEPT:
            del self._told[next(iter(self._told))]
        if self._complains:
            self._complain(record, step)
        if self.ready.is_set():
            self.on_change(step)

    def _complain(self, record: ConsumerRecord, step: Step) -> None:
        if step.verdict is Verdict.REFUSED:
            metrics.CONFIG_REFUSED.inc()
            log.warning("render_worker.config_refused", config_version=record.offset, error=step.error)
        elif step.verdict is Verdict.CONFLICT:
            log.info("render_worker.config_conflict", config_version=record.offset, error=step.error)

    def _begin(self, *, topic_is_empty: bool) -> None:
        if not topic_is_empty and not self._records_read:
            raise ClipfoldError(
                f"{RENDER_CONFIG.name} holds records but none could be read: check its settings"
            )
        self.ready.set()
