"""The broker's folder: its settings, and a data folder that is formatted to the end or not there."""

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.nodes import Node, new_cluster_id
from stream_app.kafka.broker.place import BrokerPlace
from stream_app.kafka.broker.properties import server_properties
from stream_app.kafka.broker.waiting import Deadline

MARK = "meta.properties"
"""Kafka's own sign of a formatted folder; it holds the cluster's id."""

LAST_WORDS = 2000
"""Characters of a program's output that an error shows."""


def write_properties(node: Node, *, data: Path | None = None) -> None:
    """Write `server.properties` anew: its ports may have changed, or clipfold may be a newer one."""
    place = node.place
    text = server_properties(
        node.ports, log_dirs=(data or place.data).name, node_id=node.number, voters=node.voters
    )
    place.properties.write_text(text, encoding="utf-8")


def format_storage(node: Node, tool: list[str], deadline: Deadline) -> None:
    """Make the data folder if there is none; it gets its name when it is complete, so a kill harms nothing.

    Args:
        node: the broker; Kafka notes the controller's port in the data folder.
        tool: the command line of Kafka's storage tool, without its arguments.
        deadline: when it must be done.

    Raises:
        BrokerError: it could not be formatted, or there are files that are not Kafka's.
    """
    place = node.place
    if (place.data / MARK).exists():
        return
    if place.data.exists() and any(place.data.iterdir()):
        raise BrokerError(
            f"{place.data} holds files but no {MARK}, so Kafka has not made them: move the folder away"
        )
    place.root.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place.formatting, ignore_errors=True)
    write_properties(node, data=place.formatting)
    cluster = ["-t", node.cluster_id] if node.cluster_id else ["--standalone", "-t", new_cluster_id()]
    _run_tool([*tool, "format", *cluster, "-c", str(place.properties)], place, deadline)
    place.formatting.replace(place.data)


def cluster_id(place: BrokerPlace) -> str | None:
    """The id of the cluster whose data lie here, if they are formatted."""
    with suppress(OSError):
        for line in (place.data / MARK).read_text(encoding="utf-8").splitlines():
            if line.startswith("cluster.id="):
                return line.partition("=")[2].strip()
    return None


def _run_tool(command: list[str], place: BrokerPlace, deadline: Deadline) -> None:
    try:
        ran = subprocess.run(
            command,
            cwd=place.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=max(1.0, deadline.left()),
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"Kafka's storage in {place.root} was not formatted in time: try again") from error
    if ran.returncode != 0 or not (place.formatting / MARK).exists():
        raise BrokerError(
            f"Kafka's storage in {place.root} could not be formatted; is the disk full, or the folder not "
            f"yours? Kafka's last words:\n{ran.stdout[-LAST_WORDS:].strip()}"
        )
