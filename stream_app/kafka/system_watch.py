"""Watch a running system from outside: its event log, its config, and its consumer groups."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Self

import stamina
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream_app.clock import now_ms
from stream_app.domain.config import ConfigInForce, ConfigRecord, ConfigState, apply_record, default_config
from stream_app.domain.overview import MINUTE_MS, Overview
from stream_app.kafka.clients import FETCH_WAIT_MS, make_admin, make_consumer
from stream_app.kafka.follow import recall_mix
from stream_app.kafka.groups import GroupStanding, group_standings
from stream_app.settings import Settings
from topics.codec import Poison, Tombstone, read_event
from topics.config import CONFIG_KEY
from topics.events import MixAccepted
from topics.registry import MIX_EVENTS, RENDER_CONFIG, Topic

POLL_MS = 200
MAX_RECORDS = 2000
STOP_TIMEOUT_S = 2.0
RETRY_WAIT_S = 1.0
ANSWER_TIMEOUT_S = 10.0
"""A Kafka that does not answer for so long is taken for away."""


class SystemWatch:
    """Reads the log from where the mixes in work begin, and what was done in the last minute.

    An async context manager.

    Args:
        settings: where Kafka is.
        groups: the groups to tell of, each with its topic.
        done_group: commits a record of the event log only when its mix has ended.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka is not there; so does every method.
    """

    def __init__(self, settings: Settings, groups: Mapping[str, Topic], done_group: str) -> None:
        self._settings = settings
        self._groups = groups
        self._done_group = done_group
        self._config_partition = TopicPartition(RENDER_CONFIG.name, 0)
        self._log = [TopicPartition(MIX_EVENTS.name, number) for number in range(MIX_EVENTS.partitions)]
        self._reader = make_consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS)
        # A question on the reader's own connection waits for its fetch.
        self._asker = make_consumer(settings)
        self._admin = make_admin(settings)
        self._default = default_config(settings.clip_concurrency)
        self.overview = Overview()
        self._config = ConfigState(self._default)

    @property
    def config(self) -> ConfigInForce:
        """The config in force."""
        return self._config.in_force

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._admin.start()
                await self._asker.start()
                await self._reader.start()
                async for attempt in _while_it_settles():
                    with attempt:
                        await self._begin()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def groups(self) -> list[GroupStanding]:
        """How the groups stand now."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            async for attempt in _while_it_settles():
                with attempt:
                    standings = await group_standings(self._admin, self._asker, self._groups)
        return standings

    async def catch_up(self, within_s: float) -> bool:
        """Read what stands in the log and in the config now; whether all of it was read in that time."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            ends = await self._asker.end_offsets([*self._log, self._config_partition])
        until = time.monotonic() + within_s
        while not (done := await self._has_read(ends)) and time.monotonic() < until:
            batches = await self._reader.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            for records in batches.values():
                for record in records:
                    await self._take(record)
        return done

    async def _has_read(self, ends: dict[TopicPartition, int]) -> bool:
        for partition, end in ends.items():
            if await self._reader.position(partition) < end:
                return False
        return True

    async def _begin(self) -> None:
        partitions = [*self._log, self._config_partition]
        self._reader.assign(partitions)
        beginnings = await self._asker.beginning_offsets(partitions)
        committed = await self._admin.list_consumer_group_offsets(self._done_group, partitions=self._log)
        self._reader.seek(self._config_partition, beginnings[self._config_partition])
        lately = await self._asker.offsets_for_times(dict.fromkeys(self._log, now_ms() - MINUTE_MS))
        for partition in self._log:
            # -1 stands for none: then nothing of the log has been dealt with.
            start = max(beginnings[partition], committed[partition].offset)
            found = lately[partition]
            self._reader.seek(partition, min(start, found.offset) if found else start)

    async def _take(self, record: ConsumerRecord) -> None:
        if record.topic == RENDER_CONFIG.name:
            if record.key == CONFIG_KEY.encode():
                said = ConfigRecord.of(record.offset, record.value, record.headers)
                self._config = apply_record(self._config, self._default, said).state
            return
        event = read_event(record.value)
        if isinstance(event, Poison | Tombstone):
            return
        if isinstance(event, MixAccepted) and self.overview.lacks_story_of(event):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                mix = await recall_mix(self._settings, event.mix_id, event.log_start or 0, record.offset)
            self.overview.put(event.mix_id, mix)
        self.overview.apply(event)

    async def _close(self) -> None:
        for stop in (self._reader.stop, self._asker.stop, self._admin.close):
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(stop(), STOP_TIMEOUT_S)


def _while_it_settles() -> AsyncIterator[stamina.Attempt]:
    """Ask again: a broker that has just started, or whose groups are moving, says that it cannot tell yet."""
    return stamina.retry_context(on=_may_pass, attempts=None, timeout=ANSWER_TIMEOUT_S, wait_max=RETRY_WAIT_S)


def _may_pass(error: Exception) -> bool:
    return isinstance(error, KafkaError) and error.retriable
