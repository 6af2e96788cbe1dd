"""Fetch Kafka's jars once, from Maven Central, and believe only what has the pinned hash."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.place import KAFKA_VERSION, ProgramPlace
from stream_app.kafka.broker.waiting import Deadline

PINS = Path(__file__).with_name("jars.sha256")
"""Pinned, so that a start neither trusts the network nor reads 60 POM files (10 s of a cold start)."""

DOWNLOADS_AT_ONCE = 6
TRIES = 3
RETRY_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: where Maven has it, and the hash of what it must hold."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the `lib` folder."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars() -> tuple[Jar, ...]:
    """All jars of the broker, in the order of the class path."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    return tuple(_parse_pin(line) for line in lines if not line.startswith("#"))


def _parse_pin(line: str) -> Jar:
    sha256, coordinates = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def class_path(place: ProgramPlace) -> str:
    """The jars by name: a `*` would leave their order open, and class archives are tied to it."""
    return os.pathsep.join(str(place.lib / jar.file_name) for jar in pinned_jars())


def fetch_jars(place: ProgramPlace, deadline: Deadline, tell: Callable[[str], None]) -> None:
    """Have every jar in `place.lib`; the caller holds the place's lock.

    Each appears there only whole and with the right hash, so an interrupted fetch goes on where it stopped.

    Raises:
        BrokerError: a jar could not be had before the deadline.
    """
    missing = [jar for jar in pinned_jars() if not (place.lib / jar.file_name).exists()]
    if not missing:
        return
    tell(f"fetching Apache Kafka {KAFKA_VERSION} (44 MB, once)")
    place.lib.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place.fetching, ignore_errors=True)
    maven = _maven(place.fetching)
    pool = ThreadPoolExecutor(DOWNLOADS_AT_ONCE)
    try:
        fetches = [pool.submit(_fetch, maven, jar, place.lib) for jar in missing]
        _wait_for(fetches, deadline)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    shutil.rmtree(place.fetching, ignore_errors=True)


def _maven(scratch: Path) -> Any:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - an extra: it need not be there
    except ImportError as error:
        raise BrokerError(
            "fetching Kafka needs the package jgo: type `pip install 'clipfold[embedded]'`, "
            "or name your own Kafka with RENDER_KAFKA_BOOTSTRAP"
        ) from error
    return MavenContext(repo_cache=scratch)


def _wait_for(fetches: list[Future[None]], deadline: Deadline) -> None:
    try:
        for fetched in as_completed(fetches, timeout=deadline.left()):
            fetched.result()
    except TimeoutError as error:
        done = sum(fetch.done() for fetch in fetches)
        raise BrokerError(
            f"Kafka was not fetched in time ({done} of {len(fetches)} files): "
            "the same command again goes on where this one stopped"
        ) from error


def _fetch(maven: Any, jar: Jar, lib: Path) -> None:
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for tries_left in reversed(range(TRIES)):
        try:
            _adopt(artifact.resolve(), jar, lib)
        except (OSError, RuntimeError, AssertionError) as error:
            if not tries_left:
                raise BrokerError(
                    f"{jar.file_name} could not be fetched from Maven Central: {error}; "
                    "check the network and type the same command again"
                ) from error
            # The resolver takes what lies in its cache for complete, however the download ended.
            artifact.cached_path.unlink(missing_ok=True)
            time.sleep(RETRY_PAUSE_S)
        else:
            return


def _adopt(fetched: Path, jar: Jar, lib: Path) -> None:
    with fetched.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != jar.sha256:
            raise OSError(f"its sha256 is {found}, not the pinned {jar.sha256}")
        os.fsync(file.fileno())
    fetched.replace(lib / jar.file_name)
