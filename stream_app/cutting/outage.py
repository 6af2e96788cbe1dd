"""Say that work waits for Kafka: once for all attempts that do, and once when it goes on."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger

SAY_AFTER_S = 5.0
"""A send takes milliseconds, the election of a new leader a second or two."""

log = get_logger()


class Outage:
    """How many sends have been waiting for long.

    The writer tries for ever and the attempt keeps its slot, so nothing new starts and nothing is lost; what
    is missing is a word to whoever wonders why.
    """

    def __init__(self, say_after_s: float = SAY_AFTER_S) -> None:
        self._say_after_s = say_after_s
        self._late = 0

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Around a send to Kafka."""
        is_late = False

        def notice() -> None:
            nonlocal is_late
            is_late = True
            if not self._late:
                log.error("render_worker.paused", error="Kafka does not take what was done; waiting for it")
            self._late += 1
            metrics.PAUSED.labels("kafka").set(self._late)

        timer = asyncio.get_running_loop().call_later(self._say_after_s, notice)
        try:
            yield
        finally:
            timer.cancel()
            if is_late:
                self._late -= 1
                metrics.PAUSED.labels("kafka").set(self._late)
                if not self._late:
                    log.info("render_worker.resumed")
