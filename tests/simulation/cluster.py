"""A cluster of workers, to which things happen in the order that somebody chooses."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from tests.simulation.kafka import Kafka, Place, places
from tests.simulation.promises import broken_promises
from tests.simulation.roles import (
    ASSEMBLER,
    CONFIG,
    INTAKE,
    TOPIC_OF,
    Cutter,
    Steps,
    World,
    assembler,
    intake,
)

QUIET_ROUNDS = 4
MAX_ROUNDS = 3_000
"""A log that still moves after so many rounds without any fault moves for ever."""

T = TypeVar("T")


def line(number: int, *videos: str) -> dict[str, object]:
    candidates = [{"video_id": video, "uri": f"media/{video}.mp4", "start_ms": 0} for video in videos]
    return {
        "line_id": str(number),
        "start_ms": 1000 * number,
        "end_ms": 1000 * number + 1000,
        "candidates": candidates,
    }


REQUESTS: tuple[dict[str, Any], ...] = (
    {"mix_id": "a", "lines": [line(1, "v1", "v2"), line(2, "v1")]},
    {"mix_id": "b", "lines": [line(1), line(2, "v2")]},
    {"mix_id": "a", "lines": [line(1, "v3")]},
    {"type": "mix-revise", "mix_id": "a", "lines": [line(2, "v2", "v3")]},
    {"type": "mix-revise", "mix_id": "b", "lines": [line(1, "v1")]},
    {"type": "mix-cancel", "mix_id": "a"},
    {"mix_id": "c", "lines": []},
)


class Worker:
    """A process: a generator for each partition that it owns, and its attempts."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.cutter = Cutter(world, name)
        self.reading: dict[tuple[str, Place], Steps] = {}
        self._world = world
        self._waits_at: dict[tuple[str, Place], int] = {}

    def own(self, role: str, place: Place) -> None:
        begin = {INTAKE: intake, ASSEMBLER: assembler}.get(role)
        self.reading[role, place] = begin(self._world, place) if begin else self.cutter.read(place)

    def steps(self) -> list[Callable[[], str]]:
        """What can go on now; whoever has read all that there is can not."""
        self.cutter.start()
        reading = [
            partial(self._read, key)
            for key in self.reading
            if self._waits_at.get(key) != self._world.kafka.end(key[1])
        ]
        return [*reading, *(partial(next, attempt) for attempt in self.cutter.attempts.values())]

    def _read(self, key: tuple[str, Place]) -> str:
        said = next(self.reading[key])
        if said.endswith("waits"):
            self._waits_at[key] = self._world.kafka.end(key[1])
        return said

    def die(self) -> None:
        for attempt in list(self.cutter.attempts.values()):
            attempt.close()


class Cluster:
    """Does what a schedule says, one thing after another, and keeps a history of it."""

    def __init__(self) -> None:
        self.world = World(Kafka(), lambda options: self._fate % options)
        self.history: list[str] = []
        self.asked = 0
        self.workers: list[Worker] = []
        self.zombies: list[Worker] = []
        self.unowned = [(role, place) for role, topic in TOPIC_OF.items() for place in places(topic)]
        self._started = self._fate = 0
        self.start_worker()
        self.give_out(0)

    def go_on(self, which: int, fate: int) -> None:
        """One of all that is at work takes a step; what would be chance in it, `fate` decides."""
        steps = [(worker, step) for worker in [*self.workers, *self.zombies] for step in worker.steps()]
        if steps:
            worker, step = _one_of(steps, which)
            self._fate = fate
            self.history.append(f"{worker.name}: {step()}")

    def ask(self, request: dict[str, Any]) -> None:
        self.asked += 1
        entry = self.world.kafka.append("mix-requests", str(request["mix_id"]), request)
        self.history.append(f"request {entry.ref}: {request.get('type', 'mix-request')} {entry.key}")

    def wait(self) -> None:
        self.world.now_ms += 30

    def start_worker(self) -> None:
        self._started += 1
        self.workers.append(Worker(self.world, f"worker {self._started}"))
        self.history.append(f"worker {self._started} starts")

    def give_out(self, which: int) -> None:
        """A worker gets all partitions that nobody has."""
        worker = _one_of(self.workers, which)
        for role, place in self.unowned:
            worker.own(role, place)
        self.unowned.clear()
        self.history.append(f"{worker.name} gets the partitions")

    def kill(self, which: int) -> None:
        worker = self._lose(which)
        worker.die()
        self.history.append(f"{worker.name} is killed")

    def freeze(self, which: int) -> None:
        """Others get its partitions; when it wakes, what it had begun still goes on for a while."""
        worker = self._lose(which)
        self.zombies.append(worker)
        self.history.append(f"{worker.name} is frozen, and wakes")

    def end_zombie(self, which: int) -> None:
        worker = _one_of(self.zombies, which)
        self.zombies.remove(worker)
        worker.die()
        self.history.append(f"{worker.name}, frozen once, is killed")

    def _lose(self, which: int) -> Worker:
        worker = _one_of(self.workers, which)
        self.workers.remove(worker)
        self.unowned += worker.reading
        return worker

    def broken_limits(self) -> list[str]:
        """Limits of the config that are exceeded at this moment."""
        running = self.world.running
        said = [
            f"{worker} has {count} attempts at a time"
            for worker, count in Counter(worker for worker, _ in running).items()
            if count > CONFIG.max_parallelism
        ]
        return said + [
            f"{worker} tries {video} {count} times at a time"
            for (worker, video), count in Counter(running).items()
            if video and count > CONFIG.per_video_limit
        ]

    def heal(self) -> list[str]:
        """No more faults: one new worker does what is left. Returns the promises that do not hold then."""
        while self.workers:
            self.kill(0)
        while self.zombies:
            self.end_zombie(0)
        self._fate = 0
        self.start_worker()
        self.give_out(0)
        (worker,) = self.workers
        quiet = 0
        for _ in range(MAX_ROUNDS):
            said = [step() for step in worker.steps()]
            moved = [each for each in said if not each.endswith("waits")]
            self.history += [f"healed: {each}" for each in moved]
            self.wait()
            quiet = 0 if moved or len(worker.cutter.queue) else quiet + 1
            if quiet == QUIET_ROUNDS:
                return broken_promises(self.world.kafka)
        return ["it never comes to rest"]


def _one_of(things: Sequence[T], which: int) -> T:
    return things[which % len(things)]
