"""A circuit breaker for each host: one that is down is left alone, instead of costing every line its time."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Self

from stream_app.domain.errors import SourceError
from stream_app.sources.fetch_error import FetchError

FAILURES = 5
"""Failures in a row, without one answer between them, that make a host count as down."""

SPAN_S = 2.0
"""They must be spread over so long: many requests that fail in the same moment are one blip."""

FIRST_REST_S = 10.0
LONGEST_REST_S = 30.0
"""How long a host is left alone: twice as long each time that the probe after it fails as well.

Each try waits for it before the next candidate has its turn: so the longest rest decides for how long a dead
host can hold up a mix. One request in half a minute does it no harm.
"""

PROBE_WAIT_MS = 5000
"""While one request probes a host, others are told to come back after so long: a probe that hangs takes its
connection and answer limits, and must not use up their tries."""

MAX_HOSTS = 1000
"""Hosts in trouble that are remembered; a stranger's requests may name any number."""


@dataclass
class _Trouble:
    """A host without an answer since `since`."""

    since: float
    error: SourceError
    failures: int = 0
    rest_s: float = FIRST_REST_S
    open_until: float | None = None
    is_probed: bool = False


class Breakers:
    """The state of every host in trouble; one without trouble is not remembered.

    A host is *closed* (asked), *open* (left alone until a moment) or, after that moment, *half open*: one
    request probes it, and its outcome closes or opens it again.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hosts: OrderedDict[str, _Trouble] = OrderedDict()

    @property
    def open_count(self) -> int:
        """Hosts that are left alone now."""
        now = self._clock()
        # A copy: metrics are read from a thread of their own.
        return sum(
            host.open_until is not None and host.open_until > now for host in list(self._hosts.values())
        )

    def ask(self, host: str) -> "Talk":
        """Ask whether `host` may be talked to; use it as a context manager around the talk.

        Raises:
            SourceError: it is left alone: the reason that it is, retryable, with the time until it is not.
        """
        trouble = self._hosts.get(host)
        if trouble is None or trouble.open_until is None:
            return Talk(self, host)
        left_s = trouble.open_until - self._clock()
        if left_s > 0 or trouble.is_probed:
            raise _left_alone(host, trouble, ceil(left_s * 1000) if left_s > 0 else PROBE_WAIT_MS)
        trouble.is_probed = True
        return Talk(self, host, is_probe=True)

    def answered(self, host: str) -> None:
        """The host is well."""
        self._hosts.pop(host, None)

    def failed(self, host: str, error: SourceError, *, is_probe: bool) -> None:
        """The host could not be talked to, or said itself that it is not well."""
        now = self._clock()
        trouble = self._hosts.setdefault(host, _Trouble(now, error))
        self._hosts.move_to_end(host)
        trouble.failures += 1
        trouble.error = error
        if is_probe:
            trouble.rest_s = min(trouble.rest_s * 2, LONGEST_REST_S)
            trouble.open_until = now + trouble.rest_s
        elif trouble.open_until is None and trouble.failures >= FAILURES and now - trouble.since >= SPAN_S:
            trouble.open_until = now + trouble.rest_s
        if len(self._hosts) > MAX_HOSTS:
            self._hosts.popitem(last=False)

    def probe_ended(self, host: str) -> None:
        """The probe is over; without an outcome, the next request probes."""
        trouble = self._hosts.get(host)
        if trouble is not None:
            trouble.is_probed = False


class Talk:
    """One request to a host: what comes out of it is noted, unless it tells nothing of the host."""

    def __init__(self, breakers: Breakers, host: str, *, is_probe: bool = False) -> None:
        self._breakers = breakers
        self._host = host
        self._is_probe = is_probe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._breakers.answered(self._host)
        elif isinstance(error, FetchError) and error.blames_host:
            self._breakers.failed(self._host, error, is_probe=self._is_probe)
        if self._is_probe:
            self._breakers.probe_ended(self._host)


def _left_alone(host: str, trouble: _Trouble, wait_ms: int) -> SourceError:
    return FetchError(
        trouble.error.reason,
        f"{host} is left alone for {wait_ms / 1000:.1f} s after {trouble.failures} failures: {trouble.error}",
        retryable=True,
        retry_after_ms=wait_ms,
    )
