"""The Kafka of a world, and what harms it."""

import os
import signal
import time
from pathlib import Path

from fault_log import FaultLog
from slow_network import SlowNetwork, advertising

from stream_app.kafka import broker
from stream_app.kafka.broker.ports import choose_ports
from tests.integration.render.roles import wait_until


class Brokers:
    """A Kafka of so many brokers, numbered from 1, in a folder of its own.

    With `slow_network` there is one between the roles and Kafka.
    """

    def __init__(self, folder: Path, faults: FaultLog, *, count: int, slow_network: bool) -> None:
        self._folder = folder
        self._faults = faults
        self._count = count
        self._network = SlowNetwork() if slow_network else None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._network.port}" if self._network else self._kafka.bootstrap

    def start(self) -> None:
        if self._network is None:
            self.start_missing()
            return
        self._network.start()
        (ports,) = choose_ports(None)
        self._network.lead_to(ports.clients)
        with advertising(self._network, ports.clients):
            self.start_missing()

    def start_missing(self) -> None:
        """Start what is down of it."""
        self._kafka = broker.start(
            self._folder, brokers=self._count, cache=broker.default_home(), timeout_s=300
        )

    def kill(self, number: int) -> None:
        """Kill one broker; `start_missing` brings it back."""
        pid = self._pid(number)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists(), f"broker {number} is gone", 30)

    def freeze(self, number: int, seconds: float) -> None:
        pid = self._pid(number)
        with self._faults.during(f"broker {number} freezes"):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def _pid(self, number: int) -> int:
        pid = self._kafka.nodes[number - 1].pid
        assert pid is not None
        return pid

    def stop(self) -> None:
        broker.stop(self._folder)
        if self._network:
            self._network.stop()
