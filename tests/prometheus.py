"""A real Prometheus of the tests' own, on a port of the system's choice."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_app.child_process import die_with_parent

RULES = Path(__file__).parents[1] / "observability/prometheus/clipfold.rules.yml"
START_TIMEOUT_S = 60
SCRAPE_INTERVAL_S = 1

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="needs prometheus and promtool; on Debian: apt-get install prometheus",
)


class Prometheus:
    """A running one, as its HTTP API shows it."""

    def __init__(self, address: str) -> None:
        self._address = address

    def api(self, path: str, **arguments: str | float) -> Any:
        """The `data` of an answer of `/api/v1/PATH`; an error is told in Prometheus' own words."""
        query = urllib.parse.urlencode(arguments)
        try:
            with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}?{query}", timeout=30) as got:
                return json.load(got)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{arguments}: {error.read().decode()}") from error

    def instant(self, query: str) -> list[dict[str, Any]]:
        """What the query gives now: one result for each series."""
        return list(self.api("query", query=query)["result"])

    def over(self, query: str, since: float, until: float) -> list[dict[str, Any]]:
        """What the query gave each second between two moments, in seconds since 1970."""
        return list(self.api("query_range", query=query, start=since, end=until, step=1)["result"])


@contextmanager
def running_prometheus(targets: Mapping[str, Sequence[str]], folder: Path) -> Iterator[Prometheus]:
    """A Prometheus with clipfold's rules that scrapes `targets`, `host:port` by job, every second."""
    config = folder / "prometheus.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {
                    "scrape_interval": f"{SCRAPE_INTERVAL_S}s",
                    "evaluation_interval": f"{SCRAPE_INTERVAL_S}s",
                },
                "rule_files": [str(RULES)],
                "scrape_configs": [
                    {"job_name": job, "static_configs": [{"targets": list(each)}]}
                    for job, each in targets.items()
                ],
            }
        )
    )
    log = folder / "prometheus.log"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--log.format=json",
    ]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdout=sink,
            stderr=sink,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - a test that is killed leaves nothing
        )
    try:
        yield Prometheus(_address(process, log))
    finally:
        process.terminate()
        process.wait(30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, once it is ready."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        for line in _lines(log):
            if line.get("msg") == "Listening on":
                address = str(line["address"])
                if _is_ready(address):
                    return address
        time.sleep(0.1)
    raise AssertionError(f"not ready within {START_TIMEOUT_S} s:\n{log.read_text()[-3000:]}")


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # it is being written
            continue


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5):
            return True
    except OSError:
        return False
