"""2,000 random schedules of workers, crashes, redeliveries, rebalances and zombies over the pure core.

hypothesis chooses them, and makes one that breaks a promise as short as it can: it prints its steps, what
happened line by line, and the seed. Others than in each test run: SIMULATION_SEED=7 pytest tests/simulation
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from stream_app.domain import mix as mix_module
from stream_app.domain.schedule import Queue
from tests.simulation import roles
from tests.simulation.cluster import REQUESTS, Cluster
from tests.simulation.kafka import Kafka

SEED = int(os.environ.get("SIMULATION_SEED", "0"))
SCHEDULES = settings(
    max_examples=2_000,
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
MAX_WORKERS = 3
MAX_REQUESTS = 8

which = st.integers(0, 63)
"""One of whatever there is then, which no strategy can know before."""


@seed(SEED)
class Schedule(RuleBasedStateMachine):
    """What happens to a cluster. When it is over, all faults are, and every promise must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.cluster.ask(REQUESTS[0])

    @rule(steps=st.lists(st.tuples(which, st.integers(0, 3)), min_size=1, max_size=30))
    def work_goes_on(self, steps: list[tuple[int, int]]) -> None:
        for one, fate in steps:
            self.cluster.go_on(one, fate)
            self._must_hold(self.cluster.broken_limits())

    @rule()
    def time_passes(self) -> None:
        self.cluster.wait()

    @precondition(lambda self: self.cluster.asked < MAX_REQUESTS)
    @rule(request=st.sampled_from(REQUESTS))
    def somebody_asks(self, request: dict[str, Any]) -> None:
        self.cluster.ask(request)

    @precondition(lambda self: len(self.cluster.workers) < MAX_WORKERS)
    @rule()
    def a_worker_starts(self) -> None:
        self.cluster.start_worker()

    @precondition(lambda self: self.cluster.workers and self.cluster.unowned)
    @rule(one=which)
    def partitions_are_given_out(self, one: int) -> None:
        self.cluster.give_out(one)

    @precondition(lambda self: self.cluster.workers)
    @rule(one=which)
    def a_worker_is_killed(self, one: int) -> None:
        self.cluster.kill(one)

    @precondition(lambda self: self.cluster.workers)
    @rule(one=which)
    def a_worker_is_frozen_and_wakes(self, one: int) -> None:
        self.cluster.freeze(one)

    @precondition(lambda self: self.cluster.zombies)
    @rule(one=which)
    def a_zombie_is_killed(self, one: int) -> None:
        self.cluster.end_zombie(one)

    def teardown(self) -> None:
        self._must_hold(self.cluster.heal())

    def _must_hold(self, broken: list[str]) -> None:
        if broken:
            note("\n".join([f"seed {SEED}:", *self.cluster.history]))
        assert not broken


def test_every_promise_holds_under_every_schedule() -> None:
    run_state_machine_as_test(Schedule, settings=SCHEDULES)


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
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Schedule, settings=settings(SCHEDULES, phases=[Phase.generate]))
