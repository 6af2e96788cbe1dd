"""A whole clipfold that may be harmed: Kafka, its roles, and what they are asked for."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from brokers import Brokers
from fault_log import FaultLog
from load import FPS, LINES, Ledger, log_end, make_sources, mix, send, send_raw
from supervisor import Supervisor
from verdict import Verdict, judge

from tests.integration.render.roles import wait_until

SESSION_TIMEOUT_MS = 6000
"""The shortest that a broker allows by default: a shorter test."""

MAX_PAUSE_MS = SESSION_TIMEOUT_MS + 5000
SLOTS = 4


@dataclass
class World:
    """Everything in `folder`.

    Attributes:
        brokers: of Kafka, 1 or 3.
        workers_wanted: how many run.
        spoilt: what the launcher does to a kind of role; see launcher.py.
        environments: further variables of a kind of role, each a folder of the world.
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
    sent: int = 0

    def __post_init__(self) -> None:
        self.sources.mkdir(parents=True)
        make_sources(self.sources)
        self.ledger = Ledger(self.folder / "ledger.jsonl")
        self.faults = FaultLog(self.folder / "faults.jsonl")
        self.kafka = Brokers(
            self.folder / "kafka", self.faults, count=self.brokers, slow_network=self.slow_network
        )
        self.roles = Supervisor(self.folder, self._environment, self.spoilt, self.faults)

    def _environment(self, kind: str) -> dict[str, str]:
        return {
            "RENDER_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "RENDER_ARTIFACTS_DIR": str(self.artifacts),
            "RENDER_MEDIA_ROOTS": str(self.sources),
            "RENDER_CLIP_CONCURRENCY": str(SLOTS),
            "RENDER_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "RENDER_METRICS_PORT": "0",
            "RENDER_API_PORT": "0",
            "RENDER_SANDBOX": "off",
            "CHAOS_NOTES": str(self.folder),
            **{key: str(self.folder / text) for key, text in self.environments.get(kind, {}).items()},
        }

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
    def api(self) -> str:
        """The address at which `serve` answers now, or did last."""
        said = [line for line in self.roles["serve"].lines() if line["event"] == "serve.started"]
        return "http://{}:{}".format(*said[-1]["address"])

    def start(self) -> None:
        self.kafka.start()
        self.roles.start("serve")
        for number in range(self.workers_wanted):
            self.roles.start(f"worker-{number}")
        self.roles.watch()
        self.roles.wait_ready()

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
        send_raw(self.kafka.bootstrap, key, value)

    def send_requests(
        self, requests: Iterable[dict[str, Any]], *, pace_s: float = 0, **expected: Any
    ) -> None:
        send(self.kafka.bootstrap, self.ledger, requests, pace_s=pace_s, **expected)

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
        log = self.roles.log(name)
        said = log.read_text().count(event)

        def says() -> bool:
            self.fill_disk()
            return log.read_text().count(event) > said

        wait_until(says, f"{name} says {event}", 60)

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
        self.roles.watch_no_more()
        for name in self.roles.workers:
            self.roles.end(name)
        if "serve" in self.roles:
            end = log_end(self.kafka.bootstrap)
            folded = "SELECT sum(next_offset) FROM snapshot_info WHERE topic = 'mix-events'"
            # Judged all the same when it does not come so far: then the verifier says what is missing.
            with suppress(AssertionError):
                wait_until(lambda: self.count(folded) >= end, "serve has folded all", 30)
            self.roles.end("serve")

    def close(self) -> None:
        self.stop()
        self.kafka.stop()

    def verify(self, *arguments: str) -> Verdict:
        """Let the verifier judge, after all roles have ended."""
        self.stop()
        return judge(
            self.folder / "report.json",
            *("--bootstrap", self.kafka.bootstrap),
            *("--ledger", str(self.ledger.path)),
            *("--artifacts", str(self.artifacts)),
            *("--snapshot", str(self.snapshot)),
            *("--faults", str(self.faults.path)),
            *("--source-fps", str(FPS)),
            *("--max-pause-ms", str(MAX_PAUSE_MS)),
            *(["--clocks-differ"] if self.clocks_differ else []),
            *arguments,
        )


@contextmanager
def world(folder: Path, **options: Any) -> Iterator[World]:
    made = World(folder, **options)
    try:
        made.start()
        yield made
    finally:
        made.close()
