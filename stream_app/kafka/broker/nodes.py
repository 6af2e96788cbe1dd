"""Which brokers a home has: one that stands alone, or three that keep every record three times."""

import base64
import json
import secrets
from dataclasses import dataclass, replace

from stream_app.domain.errors import UsageError
from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.place import BrokerPlace
from stream_app.kafka.broker.ports import choose_ports
from stream_app.kafka.broker.process import last_run
from stream_app.kafka.broker.properties import NODE_ID, Ports, Voters

SIZES = (1, 3)
"""Brokers of a home. Two would be worse than one: neither has a majority without the other."""


@dataclass(frozen=True, slots=True)
class Node:
    """One broker of a home: where it lives and listens, and, in a cluster, with whom."""

    place: BrokerPlace
    ports: Ports
    number: int = NODE_ID
    cluster_id: str | None = None
    voters: Voters = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the brokers of a cluster must agree on before the first of them starts."""

    cluster_id: str
    voters: Voters


def places_of(home: BrokerPlace, cluster: Cluster | None) -> dict[int, BrokerPlace]:
    """The folder of each broker, by its number from 1."""
    if cluster is None:
        return {NODE_ID: home}
    return {number: home.node(number) for number in range(NODE_ID, NODE_ID + len(cluster.voters))}


def nodes_to_launch(home: BrokerPlace, cluster: Cluster | None, down: list[int]) -> tuple[Node, ...]:
    """The brokers numbered `down`, on free ports: those that they had, as far as nobody has taken them.

    Raises:
        BrokerError: somebody has taken a port at which the brokers that run expect one that is down.
    """
    if cluster is None:
        run = last_run(home)
        (ports,) = choose_ports(run.ports if run else None)
        return (Node(home, ports),)
    ports_of = dict(enumerate(cluster.voters, NODE_ID))
    free = dict(zip(down, choose_ports(*(ports_of[number] for number in down)), strict=True))
    for number, ports in free.items():
        before = ports_of[number].controller
        if len(down) < len(ports_of) and ports.controller != before:
            raise BrokerError(
                f"another program listens on port {before}, where the others expect node {number}: end it, "
                "or type `clipfold kafka stop`, then start it again"
            )
    cluster = replace(cluster, voters=tuple((ports_of | free).values()))
    _save(home, cluster)
    return tuple(
        Node(home.node(number), ports, number, cluster.cluster_id, cluster.voters)
        for number, ports in free.items()
    )


def _save(home: BrokerPlace, cluster: Cluster) -> None:
    """Note it; a kill leaves the old note or the new one."""
    ports = [[ports.clients, ports.controller] for ports in cluster.voters]
    draft = home.cluster.with_suffix(".draft")
    draft.write_text(json.dumps({"cluster_id": cluster.cluster_id, "ports": ports}) + "\n", encoding="utf-8")
    draft.replace(home.cluster)


def new_cluster(brokers: int) -> Cluster:
    """A cluster that is not on disk yet; its ports are chosen when it is launched."""
    return Cluster(new_cluster_id(), (Ports(0, 0),) * brokers)


def new_cluster_id() -> str:
    """A name for a cluster, as Kafka makes them: 16 random bytes."""
    # Kafka reads an id that starts with a dash as an option.
    while (name := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        pass
    return name


def saved_cluster(home: BrokerPlace) -> Cluster | None:
    """The cluster of this home; none when its broker stands alone, or has never been started.

    Raises:
        BrokerError: the note of it cannot be read.
    """
    try:
        facts = json.loads(home.cluster.read_text(encoding="utf-8"))
        return Cluster(facts["cluster_id"], tuple(Ports(*map(int, pair)) for pair in facts["ports"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokerError(
            f"{home.cluster} does not tell the cluster's ports ({error!r}): mend it, or move {home.root} away"
        ) from error


def check_size(home: BrokerPlace, cluster: Cluster | None, wanted: int | None) -> None:
    """See that a home may have so many brokers: data stay with the number that they were made by.

    Raises:
        UsageError: it may not; the message says what to type.
    """
    if wanted is None:
        return
    if wanted not in SIZES:
        raise UsageError(f"Kafka is started with {' or '.join(map(str, SIZES))} brokers, not with {wanted}")
    there = len(cluster.voters) if cluster else 1 if home.data.exists() else None
    if there not in (None, wanted):
        raise UsageError(
            f"the data in {home.root} are those of {_brokers(there)} and cannot become those of "
            f"{_brokers(wanted)}: leave --brokers away, or name another folder with RENDER_HOME"
        )


def _brokers(count: int | None) -> str:
    return "one broker" if count == 1 else f"{count} brokers"
