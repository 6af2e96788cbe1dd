"""The roles of a world: started again when they die, as a supervisor does, and harmed one by one."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from fault_log import FaultLog

from tests.integration.render.roles import Role, wait_until


class Supervisor:
    """Roles by name: `serve`, `worker-0` and so on, each with its log in `folder`.

    Args:
        folder: for the logs, and what fail-points and clocks have to say.
        environment: the variables of a kind of role.
        spoilt: what the launcher does to a kind of role; see launcher.py.
        faults: where a death is noted.
    """

    def __init__(
        self,
        folder: Path,
        environment: Callable[[str], Mapping[str, str]],
        spoilt: dict[str, str],
        faults: FaultLog,
    ) -> None:
        self.spoilt = spoilt
        self._folder = folder
        self._environment = environment
        self._faults = faults
        self._roles: dict[str, Role] = {}
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __getitem__(self, name: str) -> Role:
        return self._roles[name]

    def __contains__(self, name: str) -> bool:
        return name in self._roles

    @property
    def workers(self) -> list[str]:
        return sorted(name for name in self._roles if name.startswith("worker"))

    def start(self, name: str, *arguments: str) -> None:
        kind = name.partition("-")[0]
        spoilt = self.spoilt.get(kind)
        launcher = (sys.executable, "-m", "tests.chaos.launcher", spoilt) if spoilt else ()
        role = Role(kind, dict(self._environment(kind)), self.log(name), launcher, arguments)
        with self._lock:
            self._roles[name] = role.start()

    def watch(self) -> None:
        """From now on start again what has died."""
        self._thread.start()

    def _watch(self) -> None:
        while not self._ending.wait(0.05):
            with self._lock:
                for name, role in list(self._roles.items()):
                    if role.process.poll() is not None:
                        with self._faults.during(f"{name} has ended"):
                            self.start(name)

    def watch_no_more(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def wait_ready(self) -> None:
        for name in self.workers:
            self[name].wait_for("kafka.partitions_assigned", group="clipfold-cutter", timeout_s=120)
        self["serve"].wait_for("serve.started", timeout_s=120)

    def wait_for(self, name: str, *, starts: int) -> None:
        """Wait until a role is at work for the so many-th time."""
        event = "serve.started" if name == "serve" else "render_worker.started"
        log = self.log(name)
        wait_until(lambda: log.read_text().count(event) >= starts, f"{name} has started {starts} times", 120)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Kill a role; it is started again."""
        with self._faults.during(f"signal {number} to {name}"), self._lock:
            self[name].process.send_signal(number)
            if number == signal.SIGKILL:
                self[name].process.wait(30)

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a role for a while; for all the others it is as good as dead."""
        process = self[name].process
        with self._faults.during(f"{name} freezes"):
            process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def shift_clock(self, name: str, seconds: int) -> None:
        """Have the clock of a role that runs as `shifted-clock` be wrong by so much from now on."""
        (self._folder / f"clock-of-{self[name].process.pid}").write_text(str(seconds))

    def deaths(self, point: str) -> int:
        """How often a worker has ended at a fail-point."""
        return sum(1 for _ in self._folder.glob(f"{point}-*"))

    def retire(self, name: str) -> None:
        """End a role for good, as its user does."""
        with self._lock:
            role = self._roles.pop(name)
        assert role.terminate() == 0, role.log.read_text()[-3000:]

    def restart_workers(self) -> None:
        """Have new workers, spoilt as `spoilt` says now."""
        for name in self.workers:
            self.retire(name)
            self.log(name).unlink()
            self.start(name)
        self.wait_ready()

    def end(self, name: str) -> None:
        """End a role, whatever state it is in."""
        role = self._roles.pop(name)
        if role.process.poll() is None:
            role.process.send_signal(signal.SIGCONT)
            role.terminate()
