"""2,000 random schedules of workers, crashes, redeliveries, rebalances and zombies over the pure core.

A schedule is a seed; one that breaks a promise is shortened as far as it still does, and told line by line.
Others than in each test run: SIMULATION_SEEDS=2000-20000 pytest tests/simulation
"""

import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from stream_app.domain import mix as mix_module
from stream_app.domain.schedule import Queue
from tests.simulation import roles
from tests.simulation.cluster import Cluster
from tests.simulation.kafka import Kafka

FIRST, LAST = map(int, os.environ.get("SIMULATION_SEEDS", "0-2000").split("-"))
SEEDS = range(FIRST, LAST)


def schedule_of(seed: int) -> list[int]:
    chance = Random(seed)  # noqa: S311 - no secret
    return [chance.randrange(1024) for _ in range(chance.randrange(40, 400))]


def what_breaks(schedule: list[int]) -> tuple[list[str], list[str]]:
    """The promises that a schedule breaks, and its history."""
    cluster = Cluster(schedule)
    try:
        broken = cluster.run()
    except AssertionError as error:
        broken = [str(error)]
    return broken, cluster.history


def shortened(schedule: list[int]) -> list[int]:
    """Without whatever can be left out so that it still breaks something."""
    size = len(schedule) // 2
    while size:
        start = 0
        while start < len(schedule):
            shorter = schedule[:start] + schedule[start + size :]
            if what_breaks(shorter)[0]:
                schedule = shorter
            else:
                start += size
        size //= 2
    return schedule


def test_every_promise_holds_under_every_schedule() -> None:
    for seed in SEEDS:
        if what_breaks(schedule_of(seed))[0]:
            broken, history = what_breaks(shortened(schedule_of(seed)))
            pytest.fail("\n".join([f"seed {seed}:", *history, *broken]))


def commit_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intake counts a request as done before what it leads to is in Kafka."""
    real = roles.decided

    def decide(world: roles.World, entry: roles.Entry) -> roles.Steps:
        place = entry.ref.topic, entry.ref.partition
        world.kafka.commit(roles.INTAKE, place, entry.ref.offset + 1)
        yield "intake commits too early"
        yield from real(world, entry)

    monkeypatch.setattr(roles, "decided", decide)


def done_when_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cutter counts a task as done when it takes it."""
    real = roles.Cutter.read

    def read(cutter: roles.Cutter, place: roles.Place) -> Iterator[str]:
        for said in real(cutter, place):
            cutter.world.kafka.commit(roles.CUTTER, place, cutter.world.kafka.end(place))
            yield said

    monkeypatch.setattr(roles.Cutter, "read", read)


def any_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of an older revision counts as that of the newest."""
    monkeypatch.setattr(mix_module, "ends", lambda *_: True)


def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler forgets how often a video may be tried at a time."""
    real = Queue.take_next

    def take_next(queue: Queue, *, per_video_limit: int, now_ms: int) -> Any:
        return real(queue, per_video_limit=per_video_limit + 1, now_ms=now_ms)

    monkeypatch.setattr(Queue, "take_next", take_next)


def nothing_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of a failed attempt is lost."""
    real = Kafka.append

    def append(kafka: Kafka, topic: str, key: str, value: Any) -> Any:
        if topic == "clip-tasks" and value.candidate_index:
            return None
        return real(kafka, topic, key, value)

    monkeypatch.setattr(Kafka, "append", append)


@pytest.mark.parametrize("mutant", [commit_first, done_when_taken, any_end_counts, no_limit, nothing_follows])
def test_a_mutant_is_found(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    assert any(what_breaks(schedule_of(seed))[0] for seed in range(2_000)), "2,000 schedules did not find it"
