"""Measures how soon a change of the render config is obeyed: PATCH answered -> in force in each of 4 workers.

    python tests/bench/config.py [--changes N]

The workers' own log says when; all clocks are this machine's. Once while they have nothing to do, and once
while they cut, on as many cores as there are: then a worker waits for its turn like everybody else.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

from report import Figure, as_text, at_most, machine
from sources import ROOT
from stack import START_TIMEOUT_S, Place, Worker, kafka, render, workers

WORKERS = 4
LIMIT_MS = 200
PAUSE_S = 0.05
"""Between changes: a change by hand meets a cluster at rest, not the tail of the one before."""


@contextmanager
def serve(place: Place) -> Iterator[str]:
    """A `clipfold serve`; where its config is."""
    environment = {
        "RENDER_KAFKA_BOOTSTRAP": place.bootstrap,
        "RENDER_ARTIFACTS_DIR": str(place.artifacts),
        "RENDER_MEDIA_ROOTS": str(place.media_root),
        "RENDER_API_PORT": "0",
    }
    process = Worker(place, "serve", environment, role="serve")
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (started := process.said("serve.started")):
            process.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"serve has not started after {START_TIMEOUT_S} s")
            time.sleep(PAUSE_S)
        host, port = started[0]["address"]
        yield f"http://{host}:{port}/api/v1/render/config"
    finally:
        process.stop()


def change(url: str, number: int) -> tuple[int, float, float]:
    """Change the config: its version, when the answer was there (s), and how long that took (ms)."""
    body = json.dumps({"retry_backoff_ms": number}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="PATCH")  # noqa: S310 - loopback
    asked = time.time()
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        version = json.load(answer)["config_version"]
    answered = time.time()
    return version, answered, (answered - asked) * 1000


def delays_ms(started: Sequence[Worker], answered: dict[int, float]) -> list[float]:
    """For each change and worker, the time from the answer until it is in force; 0 when it was before."""
    deadline = time.monotonic() + START_TIMEOUT_S
    delays: list[float] = []
    for worker in started:
        while True:
            said = {
                line["config_version"]: datetime.fromisoformat(line["timestamp"]).timestamp()
                for line in worker.said("render_worker.config_hot_reload")
            }
            if answered.keys() <= said.keys():
                break
            worker.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"a worker does not obey {sorted(answered.keys() - said.keys())}")
            time.sleep(PAUSE_S)
        delays += [max(0.0, (said[version] - at) * 1000) for version, at in answered.items()]
    return delays


def measure(url: str, started: Sequence[Worker], changes: int, how: str) -> list[Figure]:
    """Make changes one after the other."""
    answered: dict[int, float] = {}
    took: list[float] = []
    for number in range(changes):
        version, at, took_ms = change(url, number)
        answered[version] = at
        took.append(took_ms)
        time.sleep(PAUSE_S)
    delays = sorted(delays_ms(started, answered))
    told = f"{how}; {len(delays)} of them, median {median(delays):.1f} ms, longest {delays[-1]:.1f} ms"
    answers = f"{how}; longest {max(took):.1f} ms"
    return [
        at_most(f"PATCH answered -> in force, p99, {how}", LIMIT_MS, _p99(delays), told, " ms"),
        Figure(f"PATCH asked -> answered, median, {how}", "", f"{median(took):.3g} ms", None, answers),
    ]


def _p99(ascending: Sequence[float]) -> float:
    """Nearest rank."""
    return ascending[-(-99 * len(ascending) // 100) - 1]


def main() -> int:
    """Measure and print; 1 when a figure does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100)
    changes = parser.parse_args().changes
    request = json.loads((ROOT / "media/slow_render_case.json").read_text())
    with tempfile.TemporaryDirectory() as folder, kafka(Path(folder) / "kafka") as bootstrap:
        place = Place(bootstrap, Path(folder), ROOT)
        where = machine()
        with workers(place, WORKERS) as started, serve(place) as url:
            figures = measure(url, started, changes, "idle")
            mix = threading.Thread(target=render, args=(place, {**request, "mix_id": "busy"}))
            mix.start()
            while not any(worker.said("twelvelabs.video_clip") for worker in started):
                time.sleep(PAUSE_S)
            figures += measure(url, started, changes, "cutting")
            sys.stdout.write(f"{as_text(figures)}\n\n")
            mix.join()
    for figure in figures:
        sys.stdout.write(f"{figure.name}: {figure.how}\n")
    sys.stdout.write(f"{where}\n")
    return int(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
