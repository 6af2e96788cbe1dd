from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition

from stream_app.kafka.watchdog import Movement, StuckError, Watchdog
from stream_app.settings import Settings
from stream_app.telemetry.health import BEATS_S, Health

PARTITION = TopicPartition("mix-requests", 0)
PATIENCE_S = Settings.model_fields["stuck_after_ms"].default / 1000


@dataclass
class World:
    """A watchdog, and what it looks at."""

    now: float = 0.0
    movement: Movement | None = None
    health: Health = field(init=False)
    watchdog: Watchdog = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health(lambda: self.now)
        self.health.is_started = True
        self.watchdog = Watchdog(
            Settings(_env_file=None),
            "group",
            dict,
            health=self.health,
            is_refused=lambda: False,
            movement=lambda: self.movement,
            clock=lambda: self.now,
        )

    def look(self, *, after_s: float = 0.0, waiting: tuple[int, int] | None = None) -> None:
        self.now += after_s
        self.health.beat()
        self.watchdog.judge({PARTITION: waiting} if waiting else {})


@pytest.fixture
def world() -> World:
    return World()


def test_a_partition_that_stands_still_with_records_in_it_is_stuck(world: World) -> None:
    world.look(waiting=(5, 2))
    world.look(after_s=PATIENCE_S, waiting=(5, 9))
    with pytest.raises(StuckError, match="mix-requests/0"):
        world.look(after_s=1, waiting=(5, 9))


def test_one_that_moves_or_is_empty_is_not(world: World) -> None:
    for waiting in [(5, 2), (6, 2), (7, 0), (7, 0), (7, 3)]:
        world.look(after_s=PATIENCE_S, waiting=waiting)


def test_what_moves_again_is_judged_anew(world: World) -> None:
    for reached in (5, 6, 5):
        world.look(after_s=PATIENCE_S, waiting=(reached, 2))
        world.look(after_s=PATIENCE_S, waiting=(reached, 2))


def test_work_that_does_not_move_is_stuck(world: World) -> None:
    world.movement = Movement(1)
    world.look()
    with pytest.raises(StuckError, match="what is to be done"):
        world.look(after_s=PATIENCE_S + 1)


def test_what_waits_on_purpose_is_not(world: World) -> None:
    for movement in (Movement(1), None, Movement(1), None):
        world.movement = movement
        world.look(after_s=PATIENCE_S + 1)


def test_a_running_attempt_may_take_its_time_on_top(world: World) -> None:
    world.movement = Movement(1, quiet_s=100)
    world.look()
    world.look(after_s=PATIENCE_S + 100)
    with pytest.raises(StuckError):
        world.look(after_s=1)


def test_it_is_said_before_it_is_too_late_and_no_more_once_it_moves(world: World) -> None:
    world.look(waiting=(5, 2))
    assert world.health.ready() == (True, {"status": "ready"})
    world.look(after_s=PATIENCE_S * 0.6, waiting=(5, 2))
    is_ready, told = world.health.ready()
    assert not is_ready
    assert "mix-requests/0" in str(told["why"])
    assert world.health.alive()[0]
    world.look(after_s=1, waiting=(6, 2))
    assert world.health.ready()[0]


def test_a_loop_that_does_not_turn_is_neither_alive_nor_ready(world: World) -> None:
    world.look(after_s=1)
    assert world.health.alive()[0]
    world.now += BEATS_S
    assert not world.health.alive()[0]
    assert not world.health.ready()[0]
