"""Waiting while a fault of our own side lasts, such as a full disk: all work stops, but for a probe."""

from dataclasses import dataclass

from stream_app.clock import Clock
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger

PROBE_EVERY_MS = 2000
"""While work is paused, one task is tried so often: soon enough to go on, too seldom to be a storm."""

PUT_BACK_MS = 2 * PROBE_EVERY_MS
"""A task that met a fault waits for so long: the next probe is another one, however urgent it is itself."""

MAX_DOUBLINGS = 5
"""A task that is the first to meet a fault again and again waits up to two minutes: it may be its own."""

log = get_logger()


@dataclass(slots=True)
class Pause:
    """Whether the worker is paused, and since which fault. It says so once, and once that it is over."""

    clock: Clock
    _since_ms: int | None = None
    _probe: int | None = None
    _next_probe_ms: int = 0

    @property
    def is_on(self) -> bool:
        """Whether work waits until a fault of our own side is over."""
        return self._since_ms is not None

    def room(self, free_slots: int) -> int:
        """How many tasks may start now."""
        if self._since_ms is None:
            return free_slots
        may_probe = self._probe is None and self.clock() >= self._next_probe_ms
        return min(free_slots, int(may_probe))

    @property
    def next_probe_ms(self) -> int | None:
        """When the next probe may start; `None` when that is no question of time."""
        is_waiting = self._since_ms is not None and self._probe is None and self.clock() < self._next_probe_ms
        return self._next_probe_ms if is_waiting else None

    def started(self, order: int) -> None:
        """A task has started."""
        if self._since_ms is not None:
            self._probe = order

    def met_fault(self, order: int, error: Exception) -> bool:
        """A task met a fault of our own side; whether it was the first one to."""
        is_first = self._since_ms is None
        if is_first:
            self._since_ms = self.clock()
            self._next_probe_ms = self._since_ms + PROBE_EVERY_MS
            metrics.PAUSED.labels("cutting").set(1)
            log.error("render_worker.paused", error=str(error), probe_every_ms=PROBE_EVERY_MS)
        self.ended(order, well=False)
        return is_first

    def ended(self, order: int, *, well: bool) -> None:
        """A task has ended; when it was the probe and did all it was to do, the fault is over."""
        if self._since_ms is None or self._probe != order:
            return
        self._probe = None
        self._next_probe_ms = self.clock() + PROBE_EVERY_MS
        if well:
            metrics.PAUSED.labels("cutting").set(0)
            log.info("render_worker.resumed", paused_ms=self.clock() - self._since_ms)
            self._since_ms = None
