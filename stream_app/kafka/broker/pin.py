"""Print the pins of Kafka's jars anew, for a new version: `python -m stream_app.kafka.broker.pin > ...`."""

import hashlib
import sys
import tempfile
from pathlib import Path

from stream_app.kafka.broker.place import KAFKA_VERSION

ROOTS = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
"""The broker, and the smallest logger that speaks its logging interface."""


def pins(scratch: Path) -> list[str]:
    """A line for each jar that the broker needs at run time: sha256 and coordinates, by coordinates."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - an extra: it need not be there

    maven = MavenContext(repo_cache=scratch)
    wanted, drawn_in = maven.resolver.resolve([maven.create_dependency(root) for root in ROOTS])
    needed = [*wanted, *(each for each in drawn_in if each.scope in {"compile", "runtime"})]
    by_coordinates = {
        f"{each.artifact.groupId}:{each.artifact.artifactId}:{each.artifact.version}": each.artifact
        for each in needed
    }
    return [
        f"{hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()} {coordinates}"
        for coordinates, artifact in sorted(by_coordinates.items())
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        lines = pins(Path(folder))
    header = "# Every jar of the embedded broker: sha256 and Maven coordinates. Made by `python -m"
    sys.stdout.write(f"{header} {__spec__.name}`.\n" + "".join(f"{line}\n" for line in lines))
