"""Whether a worker is fit to go on: what its parts say, and what `/healthz` and `/readyz` answer from it."""

import faulthandler
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

BEATS_S = 5.0
"""A loop that has not beaten for so long is not answered for by `/healthz`; a busy one is late by less."""


class Health:
    """Noted by the event loop, read by the threads that answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beaten_at = clock()
        self._troubles: dict[str, str] = {}
        self.is_started = False
        """Set once the worker takes work."""

    def beat(self) -> None:
        """The event loop turns."""
        self._beaten_at = self._clock()

    def note(self, part: str, trouble: str | None) -> None:
        """What a part has to complain of now; `None`: nothing."""
        if trouble is None:
            self._troubles.pop(part, None)
        else:
            self._troubles[part] = trouble

    @property
    def silent_s(self) -> float:
        """Seconds since the event loop turned."""
        return self._clock() - self._beaten_at

    def alive(self) -> tuple[bool, dict[str, object]]:
        """Whether the process lives, and the answer of `/healthz`."""
        is_alive = self.silent_s < BEATS_S
        return is_alive, {"status": "ok" if is_alive else "stuck", "silent_s": round(self.silent_s, 1)}

    def ready(self) -> tuple[bool, dict[str, object]]:
        """Whether the worker gets on with its work, and the answer of `/readyz`."""
        is_alive, told = self.alive()
        troubles = dict(self._troubles)
        if not is_alive or troubles:
            return False, {**told, "status": "stuck", "why": troubles}
        return self.is_started, {"status": "ready" if self.is_started else "starting"}


def serve_health(health: Health, host: str, port: int) -> int:
    """Answer `/metrics`, `/healthz` and `/readyz` in threads of their own; returns the port.

    Raises:
        OSError: the port is taken.
    """
    metrics = make_wsgi_app()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        ask = {"/healthz": health.alive, "/readyz": health.ready}.get(environ["PATH_INFO"])
        if ask is None:
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        is_well, told = ask()
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps(told).encode()]

    server = make_server(host, port, answer, ThreadingWSGIServer, handler_class=_Quiet)
    Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server.server_port


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: stdout has the log, and who asks knows the answer."""


@contextmanager
def ending_a_hung_process(*, after_s: float, stopping_s: float) -> Iterator[Callable[[], None]]:
    """End the process with status 1, and tell where it hung, when what is yielded is not called for so long.

    It works also where no Python code runs any more. After the block, a process that is not gone within
    `stopping_s` is ended likewise.
    """
    # A log that nobody reads is one of the things to hang on: this must not.
    stderr = 2
    with suppress(OSError):
        stderr = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)

    def again(timeout_s: float = after_s) -> None:
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=stderr)

    again()
    try:
        yield again
    finally:
        again(stopping_s)
