"""Start, find and stop the embedded Kafka: one broker, or a cluster of three."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream_app.kafka.broker.archive import make_archive
from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.jars import fetch_jars
from stream_app.kafka.broker.java import find_java
from stream_app.kafka.broker.launching import gets_ready, launch_all
from stream_app.kafka.broker.nodes import check_size, new_cluster, nodes_to_launch, places_of, saved_cluster
from stream_app.kafka.broker.place import BrokerPlace, ProgramPlace
from stream_app.kafka.broker.process import Run, bootstrap, end, is_alive, last_run
from stream_app.kafka.broker.readiness import answers
from stream_app.kafka.broker.storage import cluster_id
from stream_app.kafka.broker.waiting import Deadline, exclusively
from stream_app.settings import default_home


@dataclass(frozen=True, slots=True)
class BrokerNode:
    """One broker: where it listens and keeps its data; `pid` is None while it is down."""

    number: int
    bootstrap: str
    pid: int | None
    data_dir: Path


@dataclass(frozen=True, slots=True)
class Broker:
    """A Kafka that answers: its brokers, and which of them this call started."""

    nodes: tuple[BrokerNode, ...]
    started: frozenset[int]

    @property
    def bootstrap(self) -> str:
        """What a client is told: all brokers, because any of them may be down."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def started_here(self) -> bool:
        """Whether nothing of it ran before this call, so that the caller may stop it again."""
        return len(self.started) == len(self.nodes)

    @property
    def pid(self) -> int | None:
        """The process of the first broker."""
        return self.nodes[0].pid

    @property
    def data_dir(self) -> Path:
        """The data of the first broker."""
        return self.nodes[0].data_dir


def start(
    home: Path | None = None,
    *,
    brokers: int | None = None,
    cache: Path | None = None,
    timeout_s: float = 120,
    on_progress: Callable[[str], None] | None = None,
) -> Broker:
    """Have a Kafka that answers; what runs already is left as it is, what is down of a cluster comes back.

    It goes on when this process ends: who started it stops it.

    Args:
        home: the folder with the broker's data; without it `default_home()`.
        brokers: 1 or 3; without it as many as the home has, else 1. Three keep every record three times, and
            go on when one of them is lost.
        cache: the folder with Kafka itself, which many homes may share; without it `home`.
        timeout_s: limit of the whole call, with fetching Kafka on the first one.
        on_progress: is told, in a line each, what takes long.

    Raises:
        UsageError: the data are those of another number of brokers.
        BrokerError: there is no Java, Kafka could not be fetched, or it did not start.
    """
    home = home or default_home()
    tell = on_progress or _say_nothing
    place, program = BrokerPlace.under(home), ProgramPlace.under(cache or home)
    deadline = Deadline(timeout_s)
    with exclusively(place.lock, deadline):
        cluster = saved_cluster(place)
        check_size(place, cluster, brokers)
        if cluster is None and brokers is not None and brokers > 1:
            cluster = new_cluster(brokers)
        places, started = places_of(place, cluster), set[int]()
        while True:
            if down := [number for number, each in places.items() if _run_of(each) is None]:
                java = find_java()
                with exclusively(program.lock, deadline):
                    fetch_jars(program, deadline, tell)
                    make_archive(program, java, deadline, tell)
                launch_all(nodes_to_launch(place, cluster, down), program, java, deadline)
                started.update(down)
            elif all(_joins(each, deadline) for each in places.values()):
                return Broker(_nodes(place), frozenset(started))


def stop(home: Path | None = None, *, timeout_s: float = 30) -> bool:
    """End every broker; the data stay. Says whether one was running.

    Args:
        home: the folder with the broker's data; without it `default_home()`.
        timeout_s: for a clean end; after that it is killed, which loses nothing that it has acknowledged.

    Raises:
        BrokerError: a start is going on and did not end, or a process cannot be ended.
    """
    place = BrokerPlace.under(home or default_home())
    if not place.root.exists():
        return False
    with exclusively(place.lock, Deadline(timeout_s)):
        running = {
            each: run for each in places_of(place, saved_cluster(place)).values() if (run := _run_of(each))
        }
        end(running, timeout_s=timeout_s)
        return bool(running)


def status(home: Path | None = None) -> Broker | None:
    """The Kafka of this home if one of its brokers runs and answers; a node that does not has no `pid`."""
    nodes = _nodes(BrokerPlace.under(home or default_home()))
    return Broker(nodes, frozenset()) if any(node.pid is not None for node in nodes) else None


def _run_of(place: BrokerPlace) -> Run | None:
    """The last start, when its process is still there."""
    run = last_run(place)
    return run if run is not None and is_alive(place, run) else None


def _joins(place: BrokerPlace, deadline: Deadline) -> bool:
    """Whether the running broker answers; not so when it goes while we wait for its answer."""
    run = _run_of(place)
    if run is None or gets_ready(place, run, deadline):
        return run is not None
    if not is_alive(place, run):
        return False
    raise BrokerError(
        f"Kafka runs as process {run.pid} but does not answer: type `clipfold kafka stop`, then start it "
        f"again. Its log is {place.log}"
    )


def _nodes(place: BrokerPlace) -> tuple[BrokerNode, ...]:
    """How the brokers of this home are now; none when they were never started."""
    cluster = saved_cluster(place)
    seen = []
    for number, each in places_of(place, cluster).items():
        run = _run_of(each)
        ports = run.ports if run else cluster.voters[number - 1] if cluster else None
        if ports is not None:
            works = run is not None and answers(ports.clients, cluster_id(each))
            seen.append(BrokerNode(number, bootstrap(ports), run.pid if run and works else None, each.data))
    return tuple(seen)


def _say_nothing(_message: str) -> None:
    """Nobody asked."""
