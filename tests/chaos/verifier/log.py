"""Everything that Kafka holds, from offset 0."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer

TOPICS = ("mix-requests", "clip-tasks", "mix-events", "render-config", "dead-letters")
TIMEOUT_S = 120


@dataclass(frozen=True)
class Record:
    """One record; `value` is its JSON object, or None when it is none."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    raw: bytes | None
    value: dict[str, Any] | None

    @property
    def ref(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True)
class Log:
    """All records by topic, in the order of partition and offset, and where each partition ends."""

    records: dict[str, list[Record]]
    ends: dict[tuple[str, int], int]

    def find(self, ref: str) -> Record | None:
        return self._by_ref.get(ref)

    def by_mix(self) -> dict[str, list[Record]]:
        """The events of each mix, in the order of the log."""
        mixes: dict[str, list[Record]] = {}
        for record in self.records["mix-events"]:
            if record.value is not None:
                mixes.setdefault(str(record.value.get("mix_id")), []).append(record)
        return mixes

    @property
    def _by_ref(self) -> dict[str, Record]:
        known: dict[str, Record] = self.__dict__.setdefault("_known", {})
        if not known:
            known.update((record.ref, record) for record in self)
        return known

    def __iter__(self) -> Iterator[Record]:
        return (record for records in self.records.values() for record in records)


def read_log(bootstrap: str) -> Log:
    return asyncio.run(asyncio.wait_for(_read(bootstrap), TIMEOUT_S))


async def _read(bootstrap: str) -> Log:
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=32 * 2**20,
    )
    await consumer.start()
    try:
        places = sorted(consumer.assignment())
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        records: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for each in batch:
                    records[each.topic].append(_record(each))
    finally:
        await consumer.stop()
    missing = set(TOPICS) - {place.topic for place in places}
    assert not missing, f"Kafka has no {missing}"
    for found in records.values():
        found.sort(key=lambda record: (record.partition, record.offset))
    return Log(records, {(place.topic, place.partition): end for place, end in ends.items()})


def _record(each: Any) -> Record:
    return Record(
        each.topic, each.partition, each.offset, each.timestamp, each.key, each.value, _object(each.value)
    )


def _object(raw: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(raw or b"null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
