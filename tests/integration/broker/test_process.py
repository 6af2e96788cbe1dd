"""A JVM is known again from its first moment, however busy the machine is."""

import os
import signal
import sys
import time
from pathlib import Path

from stream_app.kafka.broker.place import BrokerPlace
from stream_app.kafka.broker.process import MAIN_CLASS, end, is_alive, launch
from stream_app.kafka.broker.properties import Ports

STARTS = 40
WATCHED_S = 0.1
"""From the shell's fork to the program's own first lines."""


def test_it_counts_as_alive_while_the_kernel_puts_the_program_into_it(tmp_path: Path) -> None:
    place = BrokerPlace.under(tmp_path)
    place.root.mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(60)", MAIN_CLASS, str(place.properties)]
    for _ in range(STARTS):
        run = launch(place, command, Ports(1, 2))
        try:
            looked_until = time.monotonic() + WATCHED_S
            while time.monotonic() < looked_until:
                assert is_alive(place, run)
            end({place: run}, timeout_s=10)
            assert not is_alive(place, run)
        finally:
            if is_alive(place, run):
                os.kill(run.pid, signal.SIGKILL)
