"""Keeps `render-config` in order for a whole cluster: one `serve` of it at a time, as a group of Kafka.

1. A record that is wrong goes to the dead letters, once.
2. A config typed by hand whose placeholder is not good here is taken back, and goes there too. What the API
   and the command line set, they have checked.
3. When the last record does not say all that is in force, it is said again: compaction keeps only that one.
4. Then the record counts as done.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiokafka import TopicPartition

from stream_app.config.writer import SERVE, ConfigWriter
from stream_app.domain.config import Step, Verdict, merged
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.kafka.group_reader import Delivery
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.writer import Writer
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.codec import Poison
from topics.config import BASE_HEADER, CONFIG_KEY
from topics.groups import KEEPER_GROUP

RETRY_S = 1.0
PLACEHOLDER = "placeholder_asset_path"

log = get_logger()


class ConfigKeeper:
    """The work of the group: records one after the other, in log order.

    Args:
        reader: decides what became of a record; every process decides alike.
        config_writer: to the topic.
        writer: to the dead letters.
        check: raises SourceError for a placeholder that is not good; see `PlaceholderCheck`.
    """

    def __init__(
        self,
        reader: RenderConfigReader,
        config_writer: ConfigWriter,
        writer: Writer,
        check: Callable[[str], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._config_writer = config_writer
        self._writer = writer
        self._check = check
        self._delivered: asyncio.Queue[Delivery] = asyncio.Queue()

    def deliver(self, delivery: Delivery) -> None:
        """Have a record looked at."""
        self._delivered.put_nowait(delivery)

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget what waits: another one keeps the topic from now on. What is under way does no harm."""
        del partitions
        with suppress(asyncio.QueueEmpty):
            while True:
                self._delivered.get_nowait()

    async def run(self, stop: asyncio.Event) -> None:
        """Look at records until `stop`."""
        stopping = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, working):
                task.cancel()
        with suppress(asyncio.CancelledError):
            await working

    async def _work(self) -> None:
        while True:
            delivery = await self._delivered.get()
            offset = delivery.record.ref.offset
            await self._reader.read_to(offset)
            why = await self._what_is_wrong(delivery)
            if why is not None:
                await self._writer.put_aside(delivery.record, why, KEEPER_GROUP)
            # What was read behind it is still to be looked at, before it is said again.
            if self._reader.state.read_to <= offset:
                await self._config_writer.keep_whole()
            delivery.finish()

    async def _what_is_wrong(self, delivery: Delivery) -> Poison | None:
        record = delivery.record
        if record.key != CONFIG_KEY.encode():
            return Poison(f"the key is to be {CONFIG_KEY!r}", stage="validate")
        told = self._reader.told(record.ref.offset)
        if told is None:
            return None  # read and forgotten long ago
        step = told.step
        if step.verdict is Verdict.REFUSED:
            return Poison(step.error or "", stage="validate")
        was_checked = BASE_HEADER in step.record.headers
        if step.verdict is not Verdict.APPLIED or was_checked or PLACEHOLDER not in step.changes:
            return None
        error = await self._error_of(step.after.config.placeholder_asset_path)
        if error is None:
            return None
        metrics.CONFIG_REFUSED.inc()
        log.warning("render_worker.config_refused", config_version=record.ref.offset, error=error)
        await self._take_back(step)
        return Poison(f"{PLACEHOLDER}: {error}", stage="validate")

    async def _error_of(self, path: str) -> str | None:
        while True:
            try:
                await self._check(path)
            except SourceError as error:
                return str(error)
            except OwnFaultError as error:
                log.warning("render_worker.placeholder_asset_unchecked", path=path, error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return None

    async def _take_back(self, step: Step) -> None:
        """Undo what the record changed and nobody has changed since."""
        while True:
            now = self._reader.current
            if now.version == step.record.offset:
                await self._config_writer.restate(step.before)
                continue
            undone = {
                name: old for name, (old, new) in step.changes.items() if getattr(now.config, name) == new
            }
            if PLACEHOLDER not in undone:
                return
            await self._config_writer.change(merged(now.config, undone), base=now.version, actor=SERVE)
