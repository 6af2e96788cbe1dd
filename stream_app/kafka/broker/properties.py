"""Kafka's settings: one table for the embedded broker and for `docker-compose.kafka.yml`."""

from dataclasses import dataclass

from topics.registry import MAX_MESSAGE_BYTES

NODE_ID = 1
HEAP = ("-Xms64m", "-Xmx512m")
"""Room for a few records of 16 MiB at once; an idle broker takes 150 MB."""

FOR_EVER_MINUTES = 5_256_000
"""Ten years: Kafka's default forgets after a week where a group that was away had got to."""

SHARED: dict[str, str] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # Topics are declared, never made by a typing error.
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    # The log is the truth: nothing of it goes because time went by.
    "log.retention.ms": "-1",
    "offsets.retention.minutes": str(FOR_EVER_MINUTES),
    # Records of 16 MiB, with their keys and headers, on every way in and out.
    "message.max.bytes": str(MAX_MESSAGE_BYTES),
    "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
    "socket.request.max.bytes": str(100 * 2**20),
    # A broker that was killed may come back only when the controller has given the old one up: after 9 s,
    # were it left to the defaults. The two are one process here, so a short silence is never the network's.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Small and quick: one user's machine, not a cluster.
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": str(2 * 2**20),
    "log.cleaner.backoff.ms": "500",
    "num.network.threads": "1",
    "num.io.threads": "2",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of the embedded broker: for clients, and for its controller."""

    clients: int
    controller: int


Voters = tuple[Ports, ...]
"""The ports of each broker of a cluster, by node id from 1."""


def server_properties(ports: Ports, *, log_dirs: str, node_id: int = NODE_ID, voters: Voters = ()) -> str:
    """The text of `server.properties`.

    Args:
        ports: where this broker listens.
        log_dirs: relative to the folder that the JVM works in.
        node_id: of this broker, from 1.
        voters: the ports of every broker of the cluster by `node_id`; none for a broker that stands alone.
    """
    listeners = f"PLAINTEXT://127.0.0.1:{ports.clients},CONTROLLER://127.0.0.1:{ports.controller}"
    settings = {
        **SHARED,
        **_copies(len(voters) or 1),
        **_quorum(ports, voters),
        "node.id": str(node_id),
        "listeners": listeners,
        "advertised.listeners": listeners,
        "log.dirs": log_dirs,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def docker_environment() -> dict[str, str]:
    """The same settings as the image `apache/kafka` wants them: environment variables."""
    settings = {
        **SHARED,
        **_copies(1),
        "node.id": str(NODE_ID),
        "controller.quorum.voters": f"{NODE_ID}@localhost:9093",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:9092",
        "log.dirs": "/var/lib/kafka/data",
    }
    variables = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}
    return {**variables, "KAFKA_HEAP_OPTS": " ".join(HEAP)}


def _copies(brokers: int) -> dict[str, str]:
    """Every broker has a copy, and a record counts as written when all but one have it."""
    copies, in_sync = str(brokers), str(max(1, brokers - 1))
    return {
        **({} if brokers == 1 else {"default.replication.factor": copies, "min.insync.replicas": in_sync}),
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _quorum(ports: Ports, voters: Voters) -> dict[str, str]:
    if not voters:
        return {"controller.quorum.bootstrap.servers": f"127.0.0.1:{ports.controller}"}
    named = (f"{number}@127.0.0.1:{voter.controller}" for number, voter in enumerate(voters, NODE_ID))
    return {"controller.quorum.voters": ",".join(named)}
