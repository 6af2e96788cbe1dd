"""A cluster of workers under a schedule: a list of numbers, each of which chooses what happens next."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

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

MAX_WORKERS = 3
MAX_REQUESTS = 8
QUIET_ROUNDS = 4
MAX_ROUNDS = 3_000
"""A log that still moves after so many rounds without any fault moves for ever."""

Action = tuple[str, Callable[[], object]]


def line(number: int, *videos: str) -> dict[str, object]:
    candidates = [{"video_id": video, "uri": f"media/{video}.mp4", "start_ms": 0} for video in videos]
    return {
        "line_id": str(number),
        "start_ms": 1000 * number,
        "end_ms": 1000 * number + 1000,
        "candidates": candidates,
    }


REQUESTS = (
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
    """Runs a schedule, and then everything to its end; keeps a history of what happened."""

    def __init__(self, schedule: Iterable[int]) -> None:
        self._schedule = iter(schedule)
        self.world = World(Kafka(), self._choose)
        self.history: list[str] = []
        self._started = self._asked = 0
        self._workers: list[Worker] = []
        self._zombies: list[Worker] = []
        self._unowned = [(role, place) for role, topic in TOPIC_OF.items() for place in places(topic)]
        self._over = False
        self._start()
        self._assign(self._workers[0])
        self._ask()

    def run(self) -> list[str]:
        """Promises that do not hold when the schedule is over and all is quiet."""
        while not self._over:
            actions = self._actions()
            what, action = actions[self._choose(len(actions))]
            said = action()
            self.history.append(f"{what}{f': {said}' if said else ''}")
            self._check_limits()
        self._heal()
        return broken_promises(self.world.kafka)

    def _choose(self, options: int) -> int:
        """What comes after the schedule is the first of everything: no more faults."""
        number = next(self._schedule, None)
        if number is None:
            self._over = True
            return 0
        return number % options

    def _actions(self) -> list[Action]:
        """What may happen next: mostly that somebody goes on with his work."""
        kind = self._choose(16)
        if kind < 11 and (steps := self._steps()):
            return steps
        if kind < 13 and (self._unowned and self._workers):
            return [("partitions are given out", partial(self._assign, worker)) for worker in self._workers]
        if kind < 13:
            return [("time passes", self._wait)]
        if kind == 13 and self._asked < MAX_REQUESTS:
            return [("a request", self._ask)]
        if kind == 14 and len(self._workers) < MAX_WORKERS:
            return [("a worker starts", self._start)]
        return self._faults() or [("a worker starts", self._start)]

    def _steps(self) -> list[Action]:
        living = [*self._workers, *self._zombies]
        return [(worker.name, step) for worker in living for step in worker.steps()]

    def _faults(self) -> list[Action]:
        return [
            *((f"{worker.name} is killed", partial(self._kill, worker)) for worker in self._workers),
            *((f"{worker.name} is frozen", partial(self._freeze, worker)) for worker in self._workers),
            *((f"{worker.name}, frozen, is killed", partial(self._end, worker)) for worker in self._zombies),
        ]

    def _ask(self) -> str:
        self._asked += 1
        request = REQUESTS[self._choose(len(REQUESTS))]
        entry = self.world.kafka.append("mix-requests", str(request["mix_id"]), request)
        return f"{entry.ref} {request.get('type', 'mix-request')} {entry.key}"

    def _wait(self) -> None:
        self.world.now_ms += 30

    def _start(self) -> None:
        self._started += 1
        self._workers.append(Worker(self.world, f"worker {self._started}"))

    def _assign(self, worker: Worker) -> None:
        for role, place in self._unowned:
            worker.own(role, place)
        self._unowned.clear()

    def _kill(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._unowned += worker.reading
        worker.die()

    def _freeze(self, worker: Worker) -> None:
        """Others get its partitions; when it wakes, what it had begun still goes on for a while."""
        self._workers.remove(worker)
        self._unowned += worker.reading
        self._zombies.append(worker)

    def _end(self, worker: Worker) -> None:
        self._zombies.remove(worker)
        worker.die()

    def _heal(self) -> None:
        """No more faults: one new worker does what is left."""
        for worker in [*self._workers]:
            self._kill(worker)
        for worker in [*self._zombies]:
            self._end(worker)
        self._start()
        (worker,) = self._workers
        self._unowned = [(role, place) for role, topic in TOPIC_OF.items() for place in places(topic)]
        self._assign(worker)
        quiet = 0
        for _ in range(MAX_ROUNDS):
            said = [step() for step in worker.steps()]
            moved = [each for each in said if not each.endswith("waits")]
            self.history += [f"healed: {each}" for each in moved]
            self.world.now_ms += 30
            quiet = 0 if moved or len(worker.cutter.queue) else quiet + 1
            if quiet == QUIET_ROUNDS:
                return
        raise AssertionError("it never comes to rest")

    def _check_limits(self) -> None:
        for worker, count in Counter(worker for worker, _ in self.world.running).items():
            assert count <= CONFIG.max_parallelism, f"{worker} has {count} attempts at a time"
        for (worker, video), count in Counter(self.world.running).items():
            assert not video or count <= CONFIG.per_video_limit, (
                f"{worker} tries {video} {count} times at a time"
            )
