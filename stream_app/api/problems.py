"""Everything that goes wrong is told as RFC 9457 problem details, whoever noticed it."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from topics.events import FieldError

MEDIA_TYPE = "application/problem+json"
ERRORS_FROM = 400

KEPT_HEADERS = {b"allow", b"content-range", b"retry-after", b"www-authenticate", b"connection"}
"""What a plain answer says beside its text, and a client needs."""


class ProblemDetails(BaseModel):
    """RFC 9457: what went wrong, for programs (`status`, `title`, `errors`) and for people (`detail`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "the request has 1 error",
                    "errors": [
                        {"path": "/lines/0/end_ms", "code": "missing", "message": "Field required"},
                    ],
                }
            ]
        }
    )

    type: str = Field("about:blank", description="what kind of problem it is: always about:blank here")
    title: str = Field(description="the kind of problem in short, the same each time")
    status: int = Field(description="the HTTP status again")
    detail: str = Field(description="what is wrong this time, and what to do")
    errors: list[FieldError] | None = Field(
        None,
        description="each single error, its field as a JSON Pointer into the body, or, of what is no body, "
        "as /query/name, /path/name or /header/name",
    )
    trace_id: str | None = Field(None, description="what log lines about it carry")


class Problem(Exception):  # noqa: N818 - it is what is told, under the name that the RFC gives it
    """An answer that says what is wrong.

    Attributes:
        status: the HTTP status, 400 or above.
        title: the kind of problem in short: the status in words, unless another one is given.
        detail: what is wrong this time, and what to do.
        errors: each single error of what was sent, as `{path, code, message}`.
        headers: further headers of the answer, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        errors: Sequence[FieldError | Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title or phrase(status)
        self.detail = detail
        self.errors = tuple(map(FieldError.model_validate, errors))
        self.headers = dict(headers or {})


def invalid(errors: Sequence[FieldError]) -> Problem:
    """What was sent cannot be: 422, with every error of it."""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return Problem(422, f"the request has {count}", errors=errors)


def install_problems(app: FastAPI) -> None:
    """Have the app tell `Problem`s, invalid input and its framework's own errors as problem details."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)


def problem_response(problem: Problem, trace_id: str | None = None) -> JSONResponse:
    """The answer that tells a problem."""
    return JSONResponse(
        _body(problem, trace_id), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def _body(problem: Problem, trace_id: str | None = None) -> dict[str, Any]:
    details = ProblemDetails(
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        errors=list(problem.errors) or None,
        trace_id=trace_id,
    )
    return details.model_dump(mode="json", exclude_none=True)


async def _of_problem(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Problem):
        raise error
    return problem_response(error)


async def _of_validation(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    found = [
        FieldError(path=_place(each["loc"]), code=each["type"], message=each["msg"])
        for each in error.errors()
    ]
    return problem_response(invalid(found))


def _place(loc: Sequence[str | int]) -> str:
    """A place in the body is a JSON Pointer into it; others begin with where they stand."""
    return pointer(loc[1:] if loc[:1] == ("body",) else loc)


def pointer(place: Sequence[object]) -> str:
    """The JSON Pointer (RFC 6901) of a place: `~` and `/` inside a name are escaped."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    detail = _DETAILS.get(error.status_code, error.detail).format(
        method=request.method, path=request.url.path
    )
    return problem_response(Problem(error.status_code, detail, headers=error.headers))


_DETAILS = {
    404: "there is nothing at {path}; /docs says what there is",
    405: "{path} does not take {method}; the header Allow says what it takes",
}


def phrase(status: int) -> str:
    """The status in words, as RFC 9110 has them: Python's own differ from version to version."""
    try:
        return _NEWER_PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Error"


_NEWER_PHRASES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


class PlainErrors:
    """Middleware: turns an error that some part has told in plain text into problem details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass all else on as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        plain: Message | None = None
        text = b""

        async def send_problem(message: Message) -> None:
            nonlocal plain, text
            if message["type"] == "http.response.start" and _is_plain_error(message):
                plain = message
            elif plain is None:
                await send(message)
            else:
                text += message.get("body", b"")
                if not message.get("more_body"):
                    await _send_problem(plain, text, send)

        await self._app(scope, receive, send_problem)


def _is_plain_error(message: Message) -> bool:
    is_problem = any(
        name.lower() == b"content-type" and value.startswith(MEDIA_TYPE.encode())
        for name, value in message["headers"]
    )
    return bool(message["status"] >= ERRORS_FROM and not is_problem)


async def _send_problem(plain: Message, text: bytes, send: Send) -> None:
    status = plain["status"]
    detail = text.decode(errors="replace").strip() or phrase(status)
    body = json.dumps(_body(Problem(status, detail))).encode()
    headers = [(name, value) for name, value in plain["headers"] if name.lower() in KEPT_HEADERS]
    headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
