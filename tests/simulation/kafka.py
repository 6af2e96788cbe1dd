"""A Kafka of lists: partitions, offsets, commits of groups. What is appended stays, whoever appended it."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from topics.ids import RecordRef

PARTITIONS = {"mix-requests": 2, "mix-events": 2, "clip-tasks": 3, "dead-letters": 1}

Place = tuple[str, int]


@dataclass(frozen=True)
class Entry:
    """One record: where it stands, its key, and the object in it."""

    ref: RecordRef
    key: str
    value: Any


@dataclass
class Kafka:
    """Every partition's records, and how far each group has committed it."""

    logs: dict[Place, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[tuple[str, Place], int] = field(default_factory=dict)

    def append(self, topic: str, key: str, value: Any) -> Entry:
        place = place_of(topic, key)
        log = self.logs[place]
        log.append(Entry(RecordRef(topic, place[1], len(log)), key, value))
        return log[-1]

    def end(self, place: Place) -> int:
        return len(self.logs[place])

    def position(self, group: str, place: Place) -> int:
        return self.committed.get((group, place), 0)

    def commit(self, group: str, place: Place, offset: int) -> None:
        """A zombie may commit backwards too: whatever comes last counts."""
        self.committed[group, place] = offset

    def topic(self, name: str) -> list[Entry]:
        return [entry for number in range(PARTITIONS[name]) for entry in self.logs[name, number]]


def place_of(topic: str, key: str) -> Place:
    return topic, crc32(key.encode()) % PARTITIONS[topic]


def places(topic: str) -> list[Place]:
    return [(topic, number) for number in range(PARTITIONS[topic])]
