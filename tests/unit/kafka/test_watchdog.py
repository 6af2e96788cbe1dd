import pytest
from aiokafka import TopicPartition

from stream_app.kafka.watchdog import PATIENCE_S, StuckError, Watchdog
from stream_app.settings import Settings

PARTITION = TopicPartition("mix-requests", 0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock: Clock) -> Watchdog:
    return Watchdog(Settings(), "group", set, clock)


def test_a_partition_that_stands_still_with_records_in_it_is_stuck(watchdog: Watchdog, clock: Clock) -> None:
    watchdog.judge({PARTITION: (5, 2)})
    clock.now += PATIENCE_S
    watchdog.judge({PARTITION: (5, 9)})
    clock.now += 1
    with pytest.raises(StuckError, match="mix-requests/0"):
        watchdog.judge({PARTITION: (5, 9)})


def test_one_that_moves_or_is_empty_is_not(watchdog: Watchdog, clock: Clock) -> None:
    for committed, count in [(5, 2), (6, 2), (7, 0), (7, 0), (7, 3)]:
        watchdog.judge({PARTITION: (committed, count)})
        clock.now += PATIENCE_S
