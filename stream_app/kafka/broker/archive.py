"""An archive of Kafka's classes as the JVM wants them: a start takes 0.7 s instead of 2.2 s."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from stream_app.child_process import die_with_parent, end_group
from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.java import Java
from stream_app.kafka.broker.jvm import broker_command, storage_tool
from stream_app.kafka.broker.nodes import Node
from stream_app.kafka.broker.place import BrokerPlace, ProgramPlace
from stream_app.kafka.broker.ports import choose_ports
from stream_app.kafka.broker.readiness import wait_until_ready
from stream_app.kafka.broker.storage import cluster_id, format_storage, write_properties
from stream_app.kafka.broker.waiting import Deadline

FIRST_WITH_AOT = 25
"""Java 24 has AOT caches too, but makes them in two runs; up to there it is class data sharing."""

TRAINING_TIMEOUT_S = 60.0
"""A training run takes 10 s on an idle machine: format, start, stop, write 64 MB."""


def archive_path(program: ProgramPlace, java: Java) -> Path:
    """Where the archive for this Kafka and this Java is, or would be."""
    kind = "aot" if java.major >= FIRST_WITH_AOT else "jsa"
    return program.root / f"classes-{java.fingerprint}.{kind}"


def archive_options(program: ProgramPlace, java: Java) -> tuple[str, ...]:
    """What tells the JVM to use the archive; nothing when there is none."""
    path = archive_path(program, java)
    if not path.exists():
        return ()
    return (f"-XX:AOTCache={path}" if java.major >= FIRST_WITH_AOT else f"-XX:SharedArchiveFile={path}",)


def forget_archive(program: ProgramPlace, java: Java) -> None:
    """Do without an archive that a start failed with; the next start makes a new one."""
    archive_path(program, java).unlink(missing_ok=True)


def make_archive(program: ProgramPlace, java: Java, deadline: Deadline, tell: Callable[[str], None]) -> None:
    """Have an archive, unless that failed before; the caller holds the program's lock. Never fails itself.

    The classes are those that a broker of its own, on empty data, needs until it answers.
    """
    path = archive_path(program, java)
    failed = path.with_suffix(".failed")
    if path.exists() or failed.exists():
        return
    tell("preparing Kafka for quick starts (10 s, once)")
    shutil.rmtree(program.training, ignore_errors=True)
    try:
        made = _train(program, java, Deadline(min(TRAINING_TIMEOUT_S, deadline.left() / 2)))
        made.replace(path)
    except (BrokerError, OSError, subprocess.SubprocessError) as error:
        tell(f"Kafka will start a little more slowly: {error}")
        failed.write_text(f"{error}\n", encoding="utf-8")
    finally:
        shutil.rmtree(program.training, ignore_errors=True)


def _train(program: ProgramPlace, java: Java, deadline: Deadline) -> Path:
    place = BrokerPlace.under(program.training)
    place.root.mkdir(parents=True)
    (ports,) = choose_ports(None)
    node = Node(place, ports)
    format_storage(node, storage_tool(java, program), deadline)
    write_properties(node)
    made = place.root / "classes"
    option = "AOTCacheOutput" if java.major >= FIRST_WITH_AOT else "ArchiveClassesAtExit"
    command = broker_command(java, program, place, f"-XX:{option}={made}")
    with place.log.open("wb") as log:
        jvm = subprocess.Popen(
            command,
            cwd=place.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no other way to outlive no parent
        )
    try:
        if not wait_until_ready(ports.clients, cluster_id(place), lambda: jvm.poll() is None, deadline):
            raise BrokerError("the run that was to make a class archive did not get ready")
        jvm.terminate()
        jvm.wait(deadline.left())
    finally:
        end_group(jvm)
    if not made.exists():
        raise BrokerError("this Java made no class archive")
    return made
