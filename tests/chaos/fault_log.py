"""When each fault was: the verifier counts a pause only from the end of one."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FaultLog:
    """A line of JSON for each fault, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Note a fault from its beginning until it is over."""
        begun = _now_ms()
        try:
            yield
        finally:
            with self.path.open("a") as file:
                file.write(json.dumps({"name": name, "from_ms": begun, "until_ms": _now_ms()}) + "\n")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
