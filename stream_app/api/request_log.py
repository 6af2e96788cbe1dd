"""One log line and one observation for each request, and an answer when the program itself has failed."""

import time
from uuid import uuid4

import structlog
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_app.api.access import NOBODY
from stream_app.api.problems import ERRORS_FROM, Problem, problem_response
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from topics.ids import trace_id_in

NO_ROUTE = "(none)"
"""What is logged and counted for a path that leads nowhere: the path itself is anybody's to choose."""

METHODS = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}
ROUTINE = {"/healthz", "/readyz", "/metrics"}
"""What supervisors and Prometheus ask every few seconds is no news."""

CLIENT_GONE = 499
"""What is logged when the client left before there was an answer, as nginx does."""

log = get_logger()


def trace_of(request: Request) -> str:
    """The trace that the request belongs to, 32 hex digits."""
    return str(request.state.trace_id)


class RequestLog:
    """Middleware: gives each request its trace, and says what became of it.

    The trace is the client's own when it sends a W3C `traceparent`. Neither query strings nor tokens are
    logged, and no id: the route stands for the path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 500 when nothing was answered yet and the program fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id = trace_id_in(Headers(scope=scope).get("traceparent", "")) or uuid4().hex
        scope.setdefault("state", {})["trace_id"] = trace_id
        answer = _Answer(send)
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:
                log.exception("api.failed", route=_route(scope), error=str(error) or type(error).__name__)
                if answer.status is not None:
                    raise
                detail = f"a fault in the program; its log tells more under trace_id {trace_id}"
                problem = Problem(500, detail)
                await problem_response(problem, trace_id)(scope, receive, answer.send)
            finally:
                _tell(scope, answer)


class _Answer:
    """What has been sent of an answer, and when it began."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._asked_at = time.monotonic()
        self.status: int | None = None
        self.first_byte_ms: float | None = None

    @property
    def elapsed_ms(self) -> float:
        return (time.monotonic() - self._asked_at) * 1000

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.first_byte_ms = self.elapsed_ms
        await self._send(message)


def _tell(scope: Scope, answer: _Answer) -> None:
    method = scope["method"] if scope["method"] in METHODS else "other"
    status = answer.status or CLIENT_GONE
    is_routine = _route(scope) in ROUTINE and status < ERRORS_FROM
    (log.debug if is_routine else log.info)(
        "api.request",
        method=method,
        route=_route(scope),
        status=status,
        duration_ms=round(answer.elapsed_ms),
        actor=scope["state"].get("actor", NOBODY),
    )
    if answer.first_byte_ms is not None:
        metrics.API_DURATION_MS.labels(method, _route(scope), str(status)).observe(answer.first_byte_ms)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", NO_ROUTE)
