"""Follow the compacted topic `render-config`: read it to its end, then apply each change as it comes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.domain.config import ConfigInForce, apply_record, default_config
from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.clients import make_consumer
from stream_app.settings import Settings
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison
from topics.config import CONFIG_KEY
from topics.registry import RENDER_CONFIG

POLL_MS = 200
REBUILD_DELAY_S = 1.0

log = get_logger()


class RenderConfigReader:
    """Holds the config in force in this process."""

    def __init__(self, settings: Settings, on_change: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._default = default_config(settings.clip_concurrency)
        self._partition = TopicPartition(RENDER_CONFIG.name, 0)
        self._position: int | None = None
        self._records_read = 0
        self.on_change = on_change
        self.current: ConfigInForce = self._default
        self.ready = asyncio.Event()
        """Set once the topic has been read to its end: no task is taken before."""

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`; after a failure of Kafka go on where it broke off."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except KafkaError as error:
                log.warning("kafka.config_reader_rebuilt", error=str(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), REBUILD_DELAY_S)

    async def _follow(self, stop: asyncio.Event) -> None:
        consumer = make_consumer(self._settings)
        await consumer.start()
        try:
            consumer.assign([self._partition])
            beginning = (await consumer.beginning_offsets([self._partition]))[self._partition]
            end = (await consumer.end_offsets([self._partition]))[self._partition]
            consumer.seek(self._partition, beginning if self._position is None else self._position)
            while not stop.is_set():
                await self._poll(consumer)
                if not self.ready.is_set() and (self._position or 0) >= end:
                    self._begin(topic_is_empty=beginning == end)
        finally:
            await consumer.stop()

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(self._partition, timeout_ms=POLL_MS)
        for record in batches.get(self._partition, ()):
            self._records_read += 1
            if record.key == CONFIG_KEY.encode():
                self._apply(record.offset, record.value)
        # Not the last record's offset + 1: compaction leaves gaps, and the end may lie in one.
        self._position = await consumer.position(self._partition)

    def _apply(self, offset: int, raw: bytes | None) -> None:
        result = apply_record(self.current, self._default, offset, raw)
        if isinstance(result, Poison):
            metrics.CONFIG_REFUSED.inc()
            log.warning("render_worker.config_refused", config_version=offset, error=result.error)
            return
        self.current = result
        if self.ready.is_set():
            self._announce()

    def _begin(self, *, topic_is_empty: bool) -> None:
        if not topic_is_empty and not self._records_read:
            raise ClipfoldError(
                f"{RENDER_CONFIG.name} holds records but none could be read: check its settings"
            )
        self.ready.set()
        self._announce()

    def _announce(self) -> None:
        config = self.current.config
        metrics.CONFIG_UPDATES.inc()
        metrics.SLOTS.set(config.max_parallelism)
        log.info(
            "render_worker.config_hot_reload",
            new_parallelism=config.max_parallelism,
            per_video_limit=config.per_video_limit,
            max_retry=config.max_retry,
            config_version=self.current.version,
        )
        self.on_change()
