"""Where the embedded broker keeps its program, shared by all, and its data, one folder each."""

from dataclasses import dataclass
from pathlib import Path

KAFKA_VERSION = "4.3.1"


@dataclass(frozen=True, slots=True)
class ProgramPlace:
    """The folder of one Kafka version: its jars, and the archives of their loaded classes."""

    root: Path

    @classmethod
    def under(cls, cache: Path) -> "ProgramPlace":
        """The program's folder in `cache`."""
        return cls(_plain(cache) / "kafka" / KAFKA_VERSION)

    @property
    def lib(self) -> Path:
        """The jars, each complete from the moment it is there."""
        return self.root / "lib"

    @property
    def lock(self) -> Path:
        """Held while something is added to the folder."""
        return self.root / "lock"

    @property
    def fetching(self) -> Path:
        """Scratch of a fetch."""
        return self.root / "fetching"

    @property
    def training(self) -> Path:
        """Scratch of the run that makes an archive."""
        return self.root / "training"


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """The folder of one broker; the JVM works in it, so that nothing in it names its own place."""

    root: Path

    @classmethod
    def under(cls, home: Path) -> "BrokerPlace":
        """The broker's folder in `home`."""
        return cls(_plain(home) / "broker")

    def node(self, number: int) -> "BrokerPlace":
        """The folder of one broker of several, `number` from 1."""
        return BrokerPlace(self.root / f"node-{number}")

    @property
    def cluster(self) -> Path:
        """What the brokers of a cluster have in common; a home of one broker has no such file."""
        return self.root / "cluster.json"

    @property
    def data(self) -> Path:
        """What Kafka stores; it is there only when it is formatted to the end."""
        return self.root / "data"

    @property
    def formatting(self) -> Path:
        """The data folder while it is formatted."""
        return self.root / "data.formatting"

    @property
    def properties(self) -> Path:
        """Kafka's settings; the full path in a command line is what tells our JVM from any other."""
        return self.root / "server.properties"

    @property
    def run_file(self) -> Path:
        """Process id and ports of the last start."""
        return self.root / "run.json"

    @property
    def log(self) -> Path:
        """What the JVM printed since the last start; the one before is beside it as `.1`."""
        return self.root / "broker.log"

    @property
    def lock(self) -> Path:
        """Held while the broker is started or stopped."""
        return self.root / "lock"


def _plain(path: Path) -> Path:
    return path.expanduser().resolve()
