"""A whole clipfold that may be harmed: Kafka, workers that are started again when they die, serve."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from load import FPS, LINES, Ledger, log_end, make_sources, mix, send, send_raw
from slow_network import SlowNetwork, advertising

from stream_app.kafka import broker
from stream_app.kafka.broker.ports import choose_ports
from tests.integration.render.roles import Role, wait_until

HERE = Path(__file__).parent
SESSION_TIMEOUT_MS = 6000
"""The shortest that a broker allows by default: a shorter test."""

MAX_PAUSE_MS = SESSION_TIMEOUT_MS + 5000
SLOTS = 4


@dataclass(frozen=True)
class Verdict:
    """What the verifier found."""

    report: dict[str, Any]
    table: str

    @property
    def is_green(self) -> bool:
        return not self.report["findings"]

    def broken(self) -> set[str]:
        return {finding["promise"] for finding in self.report["findings"]}

    def but(self, complaint: str) -> "Verdict":
        """The same, and something that the one who did the harm had to say."""
        finding = {"promise": "I6", "kind": "wrong", "record": "-", "message": complaint}
        report = {**self.report, "findings": [*self.report["findings"], finding]}
        return Verdict({**report, "wrong": report["wrong"] + 1}, f"{self.table}I6 wrong: -: {complaint}\n")


@dataclass
class World:
    """Everything in `folder`.

    Attributes:
        brokers: of Kafka, 1 or 3.
        workers_wanted: how many run; one that dies is started again at once.
        spoilt: what the launcher does to a role; see launcher.py.
        environments: further variables of a role, each a folder of the world.
        slow_network: there is one between the roles and Kafka.
        clocks_differ: so times of one role and of another tell nothing about pauses.
    """

    folder: Path
    brokers: int = 1
    workers_wanted: int = 1
    spoilt: dict[str, str] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    slow_network: bool = False
    clocks_differ: bool = False
    roles: dict[str, Role] = field(default_factory=dict)
    sent: int = 0

    def __post_init__(self) -> None:
        self.sources.mkdir(parents=True)
        make_sources(self.sources)
        self.ledger = Ledger(self.folder / "ledger.jsonl")
        self.network: SlowNetwork | None = None
        self._minding = threading.Event()
        self._lock = threading.RLock()
        self._minder = threading.Thread(target=self._mind, daemon=True)

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def snapshot(self) -> Path:
        folder = self.environments.get("serve", {}).get("RENDER_ARTIFACTS_DIR", "artifacts")
        return self.folder / folder / "clipfold.duckdb"

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.network.port}" if self.network else self.kafka.bootstrap

    def start(self) -> None:
        self.start_kafka()
        self.start_role("serve")
        for number in range(self.workers_wanted):
            self.start_role(f"worker-{number}")
        self._minder.start()
        self.wait_ready()

    def start_kafka(self) -> None:
        """Start what is down of it."""
        if self.slow_network and self.network is None:
            self.network = SlowNetwork()
            self.network.start()
            (ports,) = choose_ports(None)
            self.network.lead_to(ports.clients)
            with advertising(self.network, ports.clients):
                self.kafka = self._kafka()
        else:
            self.kafka = self._kafka()

    def _kafka(self) -> broker.Broker:
        return broker.start(
            self.folder / "kafka", brokers=self.brokers, cache=broker.default_home(), timeout_s=300
        )

    def wait_ready(self) -> None:
        for name in self.workers:
            self.roles[name].wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
        self.roles["serve"].wait_for("serve.started", timeout_s=120)

    @property
    def workers(self) -> list[str]:
        return sorted(name for name in self.roles if name.startswith("worker"))

    def start_role(self, name: str, *arguments: str) -> None:
        kind = name.partition("-")[0]
        spoilt = self.spoilt.get(kind)
        launcher = (sys.executable, "-m", "tests.chaos.launcher", spoilt) if spoilt else ()
        role = Role(
            kind,
            {
                "RENDER_KAFKA_BOOTSTRAP": self.bootstrap,
                "RENDER_ARTIFACTS_DIR": str(self.artifacts),
                "RENDER_MEDIA_ROOTS": str(self.sources),
                "RENDER_CLIP_CONCURRENCY": str(SLOTS),
                "RENDER_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
                "RENDER_METRICS_PORT": "0",
                "RENDER_API_PORT": "0",
                "RENDER_SANDBOX": "off",
                "CHAOS_NOTES": str(self.folder),
                **{key: str(self.folder / text) for key, text in self.environments.get(kind, {}).items()},
            },
            self.folder / f"{name}.log",
            launcher,
            arguments,
        )
        with self._lock:
            self.roles[name] = role.start()

    def _mind(self) -> None:
        """Start again what has died, as a supervisor does."""
        while not self._minding.wait(0.05):
            with self._lock:
                for name, role in list(self.roles.items()):
                    if role.process.poll() is not None:
                        with self.fault(f"{name} has ended"):
                            self.start_role(name)

    def send(self, mixes: int, *, lines: int = LINES, pace_s: float = 0) -> None:
        """Have so many further mixes acknowledged; every line of them can be cut."""
        requests = [mix(self.sent + number, self.sources, lines=lines) for number in range(mixes)]
        self.sent += mixes
        self.send_requests(requests, pace_s=pace_s, clean=True, expects="mix-rendered")

    @contextmanager
    def sending(self, mixes: int, *, pace_s: float = 0.3) -> Iterator[None]:
        """Have mixes acknowledged one after the other, whatever happens meanwhile."""
        with ThreadPoolExecutor(1) as sender:
            sent = sender.submit(self.send, mixes, pace_s=pace_s)
            yield
            sent.result()

    def send_raw(self, key: bytes | None, value: bytes | None) -> None:
        """Put a record among the requests that need not be one."""
        send_raw(self.bootstrap, key, value)

    def send_requests(
        self, requests: Iterable[dict[str, Any]], *, pace_s: float = 0, **expected: Any
    ) -> None:
        send(self.bootstrap, self.ledger, requests, pace_s=pace_s, **expected)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Kill a role; the minder starts it again."""
        with self.fault(f"signal {number} to {name}"), self._lock:
            self.roles[name].process.send_signal(number)
            if number == signal.SIGKILL:
                self.roles[name].process.wait(30)

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a role for a while; for all the others it is as good as dead."""
        process = self.roles[name].process
        with self.fault(f"{name} freezes"):
            process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def kill_broker(self, number: int) -> None:
        """Kill one broker; `start_kafka` brings it back."""
        pid = self._broker_pid(number)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists(), f"broker {number} is gone", 30)

    def freeze_broker(self, number: int, seconds: float) -> None:
        pid = self._broker_pid(number)
        with self.fault(f"broker {number} freezes"):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def _broker_pid(self, number: int) -> int:
        pid = self.kafka.nodes[number - 1].pid
        assert pid is not None
        return pid

    def retire(self, name: str) -> None:
        """End a role for good, as its user does."""
        with self._lock:
            role = self.roles.pop(name)
        assert role.terminate() == 0, role.log.read_text()[-3000:]

    def shift_clock(self, name: str, seconds: int) -> None:
        """Have the clock of a role that runs as `shifted-clock` be wrong by so much from now on."""
        (self.folder / f"clock-of-{self.roles[name].process.pid}").write_text(str(seconds))

    @property
    def api(self) -> str:
        """The address at which `serve` answers now, or did last."""
        said = [line for line in self.roles["serve"].lines() if line["event"] == "serve.started"]
        return "http://{}:{}".format(*said[-1]["address"])

    def restart_workers(self) -> None:
        """Have new workers, spoilt as `spoilt` says now."""
        for name in self.workers:
            self.retire(name)
            (self.folder / f"{name}.log").unlink()
            self.start_role(name)
        self.wait_ready()

    def deaths(self, point: str) -> int:
        """How often a worker has ended at a fail-point."""
        return sum(1 for _ in self.folder.glob(f"{point}-*"))

    def wait_for_role(self, name: str, *, starts: int) -> None:
        """Wait until a role is at work for the so many-th time."""
        event = "serve.started" if name == "serve" else "render_worker.started"
        log = self.folder / f"{name}.log"
        wait_until(lambda: log.read_text().count(event) >= starts, f"{name} has started {starts} times", 120)

    @contextmanager
    def full_disk(self, folder: str = "artifacts") -> Iterator[None]:
        """Leave nothing free on the disk that this folder is."""
        ballast = self.folder / folder / "ballast"

        def fill() -> None:
            with suppress(OSError), ballast.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

        self.fill_disk = fill
        fill()
        try:
            yield
        finally:
            ballast.unlink()

    def wait_for_words(self, name: str, event: str) -> None:
        """Wait until a role says it once more; what a failed try leaves free of the disk is filled up."""
        log = self.folder / f"{name}.log"
        said = log.read_text().count(event)

        def says() -> bool:
            self.fill_disk()
            return log.read_text().count(event) > said

        wait_until(says, f"{name} says {event}", 60)

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Note a fault from its beginning until it is over."""
        begun = _now_ms()
        try:
            yield
        finally:
            with (self.folder / "faults.jsonl").open("a") as file:
                file.write(json.dumps({"name": name, "from_ms": begun, "until_ms": _now_ms()}) + "\n")

    def count(self, query: str) -> int:
        """A number of the snapshot; 0 while there is none."""
        with (
            suppress(duckdb.Error),
            duckdb.connect(str(self.snapshot), read_only=True) as con,
        ):
            ((number,),) = con.execute(query).fetchall()
            return int(number or 0)
        return 0

    def clips_made(self) -> int:
        """Clips in the store now."""
        return sum(1 for _ in (self.artifacts / "clips").glob("*.mp4"))

    def wait_for_clips(self, more: int) -> None:
        """Wait until so many further clips are in the store."""
        wanted = self.clips_made() + more
        wait_until(lambda: self.clips_made() >= wanted, f"{more} further clips", 120)

    def wait_for_ends(self, patience_s: float = 60) -> None:
        """Wait until the snapshot shows that all has ended, or that nothing goes on any more."""
        wanted = len(self.ledger.mixes)
        events, since = -1, time.monotonic()
        while self.count("SELECT count(*) FROM render_jobs WHERE finished_at IS NOT NULL") < wanted:
            seen = self.count("SELECT count(*) FROM events")
            if seen != events:
                events, since = seen, time.monotonic()
            if time.monotonic() - since > patience_s:
                return
            time.sleep(0.2)

    def stop(self) -> None:
        """End the workers, let serve see the last of what they said, and end it; Kafka goes on."""
        self._minding.set()
        if self._minder.is_alive():
            self._minder.join(30)
        for name in self.workers:
            self._end(name)
        if "serve" in self.roles:
            end = log_end(self.bootstrap)
            folded = "SELECT sum(next_offset) FROM snapshot_info WHERE topic = 'mix-events'"
            # Judged all the same when it does not come so far: then the verifier says what is missing.
            with suppress(AssertionError):
                wait_until(lambda: self.count(folded) >= end, "serve has folded all", 30)
            self._end("serve")

    def _end(self, name: str) -> None:
        role = self.roles.pop(name)
        if role.process.poll() is None:
            role.process.send_signal(signal.SIGCONT)
            role.terminate()

    def close(self) -> None:
        self.stop()
        broker.stop(self.folder / "kafka")
        if self.network:
            self.network.stop()

    def verify(self, *arguments: str) -> Verdict:
        """Let the verifier judge, after all roles have ended."""
        self.stop()
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        told = subprocess.run(
            [
                *(sys.executable, str(HERE / "verifier")),
                *("--bootstrap", self.bootstrap),
                *("--ledger", str(self.ledger.path)),
                *("--artifacts", str(self.artifacts)),
                *("--snapshot", str(self.snapshot)),
                *("--faults", str(self.folder / "faults.jsonl")),
                *("--json", str(report)),
                *("--source-fps", str(FPS)),
                *("--max-pause-ms", str(MAX_PAUSE_MS)),
                *(["--clocks-differ"] if self.clocks_differ else []),
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert report.exists(), told.stderr
        return Verdict(json.loads(report.read_text()), told.stdout)


@contextmanager
def world(folder: Path, **options: Any) -> Iterator[World]:
    made = World(folder, **options)
    try:
        made.start()
        yield made
    finally:
        made.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
