"""Launch brokers that are down, all at once, and wait until every one of them works."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from stream_app.kafka.broker.archive import archive_options, forget_archive
from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.java import Java
from stream_app.kafka.broker.jvm import broker_command, storage_tool
from stream_app.kafka.broker.nodes import Node
from stream_app.kafka.broker.place import BrokerPlace, ProgramPlace
from stream_app.kafka.broker.process import Run, end, is_alive, launch
from stream_app.kafka.broker.readiness import wait_until_ready
from stream_app.kafka.broker.storage import LAST_WORDS, cluster_id, format_storage, write_properties
from stream_app.kafka.broker.waiting import Deadline

GIVE_UP_GRACE_S = 5.0
"""For a JVM that did not get ready, from SIGTERM to SIGKILL."""


def launch_all(nodes: tuple[Node, ...], program: ProgramPlace, java: Java, deadline: Deadline) -> None:
    """Start them with the class archive if there is one, and if that fails once more without.

    Raises:
        BrokerError: one of them did not get ready; then none of them is left running.
    """
    for log in (node.place.log for node in nodes):
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
    options = archive_options(program, java)
    if options:
        with suppress(BrokerError):
            _try(nodes, program, java, *options, deadline=Deadline(deadline.left() / 2))
            return
    _try(nodes, program, java, deadline=deadline)
    if options:
        # Only now is it known that the archive was to blame, not the data or the machine.
        forget_archive(program, java)


def gets_ready(place: BrokerPlace, run: Run, deadline: Deadline) -> bool:
    """Whether the broker came to work before its process ended and before the deadline."""
    return wait_until_ready(run.ports.clients, cluster_id(place), lambda: is_alive(place, run), deadline)


def _try(
    nodes: tuple[Node, ...], program: ProgramPlace, java: Java, *options: str, deadline: Deadline
) -> None:
    tool = storage_tool(java, program, *options)
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(lambda node: format_storage(node, tool, deadline), nodes))
    launched: dict[BrokerPlace, Run] = {}
    all_ready = False
    try:
        for node in nodes:
            write_properties(node)
            command = broker_command(java, program, node.place, *options)
            launched[node.place] = launch(node.place, command, node.ports)
        for place, run in launched.items():
            if not gets_ready(place, run, deadline):
                raise BrokerError(f"Kafka did not start; the end of its log {place.log} is:\n{_tail(place)}")
        all_ready = True
    finally:
        # Also when we are interrupted: no process is left.
        if not all_ready:
            end(launched, timeout_s=GIVE_UP_GRACE_S)


def _tail(place: BrokerPlace) -> str:
    return place.log.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:].strip() or "(empty)"
