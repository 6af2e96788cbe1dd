"""What is done to clipfold while it works. Each scenario reads as its sentence in the table says."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import Duplicates, broker_leader, poison
from readers import EventFollowers, SnapshotReaders
from verdict import Verdict
from world import World, world

from tests.integration.render.roles import wait_until

ALONE_S = 5
"""The last of three brokers is alone for so long: it must acknowledge nothing."""

SLOW_S = 60
SHIFT_S = 2 * 3600

Play = Callable[[World, int], None]


@dataclass(frozen=True)
class Scenario:
    """One fault.

    Attributes:
        sentence: what the table says.
        times: how often it happens by default.
        play: does it, so often, to a world that is up; afterwards all that was asked for is waited for.
        small_disk: this folder of the world is a disk of its own, of so many bytes.
    """

    name: str
    sentence: str
    times: int
    play: Play
    options: dict[str, Any] = field(default_factory=dict)
    small_disk: tuple[str, str] | None = None


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    sentence: str, *, times: int, small_disk: tuple[str, str] | None = None, **options: Any
) -> Callable[[Play], Play]:
    """Enter a function into the table under its own name."""

    def enter(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(name, sentence, times, play, options, small_disk)
        return play

    return enter


def run(
    chosen: Scenario, folder: Path, *, times: int | None = None, patience_s: float = 60, **options: Any
) -> Verdict:
    """Play a scenario in a world of its own and have it judged; also when it did not come to its end."""
    with world(folder, **{**chosen.options, **options}) as it:
        try:
            chosen.play(it, times or chosen.times)
        except (AssertionError, TimeoutError) as error:
            it.wait_for_ends(patience_s)
            return it.verify().but(str(error))
        it.wait_for_ends(patience_s)
        return it.verify()


@scenario("kill -9 of a worker of two", times=10, workers_wanted=2)
def kill_worker(world: World, times: int) -> None:
    for number in range(times):
        name = f"worker-{number % 2}"
        world.send(4)
        world.wait_for_clips(6)
        world.roles.kill(name)
        world.roles.wait_for(name, starts=number // 2 + 2)


@scenario("kill -9 of serve (the projection) under load", times=30)
def kill_serve(world: World, times: int) -> None:
    for number in range(times):
        world.roles.wait_for("serve", starts=number + 1)
        world.send(3)
        world.wait_for_clips(12)
        world.roles.kill("serve")


def _dies_at(point: str, sentence: str, times: int) -> None:
    def play(world: World, times: int) -> None:
        world.roles.spoilt = {"worker": f"{point}:{times}"}
        world.roles.restart_workers()
        world.send(4 + 2 * times)
        wait_until(lambda: world.roles.deaths(point) == times, f"{times} deaths at {point}", 180)

    SCENARIOS[point] = Scenario(point, sentence, times, play)


_dies_at("die-in-join", "a worker ends during the join", 5)
_dies_at("die-after-fetch", "a worker ends after a fetch", 3)
_dies_at("die-before-rename", "a worker ends before a clip gets its name", 3)
_dies_at("die-after-rename", "a worker ends after a clip got its name", 3)
_dies_at("die-after-produce", "a worker ends after an event is in Kafka", 3)
_dies_at("die-before-commit", "a worker ends before it commits", 3)


@scenario("the leader of three brokers is lost, and comes back", times=5, brokers=3)
def lose_leader(world: World, times: int) -> None:
    # Five times: more than 5,000 events.
    with world.sending(72 * times if times > 1 else 12):
        for _ in range(times):
            world.wait_for_clips(6)
            with world.faults.during("leader lost"):
                world.kafka.kill(broker_leader(world))
            world.wait_for_clips(24)
            world.kafka.start_missing()


@scenario("two of three brokers are lost, then all, and come back", times=3, brokers=3)
def lose_all_brokers(world: World, times: int) -> None:
    with world.sending(12 * times):
        for _ in range(times):
            world.wait_for_clips(6)
            with world.faults.during("all brokers lost"):
                world.kafka.kill(1)
                world.kafka.kill(2)
                time.sleep(ALONE_S)
                world.kafka.kill(3)
                world.kafka.start_missing()


@scenario("a worker of two is frozen for 20 s, and goes on (zombie)", times=5, workers_wanted=2)
def freeze_worker(world: World, times: int) -> None:
    for number in range(times):
        world.send(12)
        world.wait_for_clips(6)
        world.roles.freeze(f"worker-{number % 2}", 20)


@scenario("the leader of three brokers is frozen for 20 s", times=3, brokers=3)
def freeze_leader(world: World, times: int) -> None:
    for _ in range(times):
        world.send(12)
        world.wait_for_clips(6)
        world.kafka.freeze(broker_leader(world), 20)


@scenario("60 s of a slow network to Kafka: 100 ms, 3,000 kbit/s", times=1, slow_network=True)
def slow_network(world: World, times: int) -> None:
    until = time.monotonic() + SLOW_S * times
    while time.monotonic() < until:
        world.send(2)
        world.wait_for_clips(12)


@scenario("SIGTERM in the middle of cuts", times=10, workers_wanted=2)
def terminate_worker(world: World, times: int) -> None:
    for number in range(times):
        name = f"worker-{number % 2}"
        world.send(4)
        world.wait_for_clips(6)
        world.roles.kill(name, signal.SIGTERM)
        world.roles.wait_for(name, starts=number // 2 + 2)


@scenario("workers 1 to 3 to 1", times=5)
def scale_workers(world: World, times: int) -> None:
    for number in range(times):
        world.send(6)
        for name in ("worker-1", "worker-2"):
            world.roles.start(name)
        for name in ("worker-1", "worker-2"):
            world.roles.wait_for(name, starts=number + 1)
        world.send(6)
        world.wait_for_clips(24)
        for name in ("worker-1", "worker-2"):
            world.roles.retire(name)


@scenario("1 % poison of ten kinds among 1,000 mixes", times=10)
def poisoned_input(world: World, times: int) -> None:
    for number in range(times):
        world.send(99, lines=1)
        poison(world, number)


@scenario("all input replayed with 20 % duplicates", times=3)
def replayed_input(world: World, times: int) -> None:
    requests = Duplicates(world, mixes=10)
    for _ in range(1 + times):
        requests.send()


@scenario("a backlog of 1,000 mixes", times=1)
def backlog(world: World, times: int) -> None:
    for name in world.roles.workers:
        world.roles.retire(name)
    world.send(1000 * times, lines=2)
    with world.faults.during("no worker until now"):
        world.roles.start("worker-0")
        world.roles.wait_ready()


@scenario("100 reads of the snapshot under load", times=100)
def read_snapshots(world: World, times: int) -> None:
    with SnapshotReaders(world, times):
        world.send(12)
        world.wait_for_ends()


@scenario("the event stream breaks after each third event, and serve is killed", times=5)
def break_streams(world: World, times: int) -> None:
    for number in range(times):
        world.roles.wait_for("serve", starts=number + 1)
        with EventFollowers(world, mixes=6):
            world.send(6)
            world.wait_for_clips(12)
            world.roles.kill("serve")


@scenario("the projection is rebuilt under load, and read all the while", times=3)
def rebuild(world: World, times: int) -> None:
    for number in range(times):
        with SnapshotReaders(world, 50), world.sending(12):
            world.wait_for_clips(12)
            world.roles.retire("serve")
            world.roles.start("serve", "--rebuild")
            world.roles["serve"].wait_for("projection.rebuilt", count=number + 1)


@scenario(
    "the clock of a worker of two is two hours ahead, then two behind",
    times=4,
    workers_wanted=2,
    spoilt={"worker": "shifted-clock"},
    clocks_differ=True,
)
def shift_clock(world: World, times: int) -> None:
    for number in range(times):
        world.send(6)
        world.wait_for_clips(12)
        world.roles.shift_clock("worker-0", SHIFT_S if number % 2 == 0 else -SHIFT_S)


@scenario("the disk of the clips and videos is full", times=2, small_disk=("artifacts", "24m"))
def media_disk_full(world: World, times: int) -> None:
    for _ in range(times):
        world.send(4)
        world.wait_for_clips(6)
        with world.faults.during("disk full"), world.full_disk():
            world.wait_for_words("worker-0", "render_worker.paused")


@scenario(
    "the disk of the projection is full",
    times=2,
    small_disk=("of-serve", "24m"),
    environments={"serve": {"RENDER_ARTIFACTS_DIR": "of-serve"}},
)
def projection_disk_full(world: World, times: int) -> None:
    for _ in range(times):
        with world.faults.during("disk full"), world.full_disk("of-serve"):
            world.send(4)
            world.wait_for_clips(40)
            world.wait_for_words("serve", "projection.interrupted")
