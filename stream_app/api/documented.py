"""What the OpenAPI description says of answers and parameters that many endpoints have in common."""

from typing import Annotated, Any

from fastapi import Path

from stream_app.api.problems import MEDIA_TYPE, ProblemDetails, phrase
from topics.ids import MIX_ID_PATTERN

MixIdInPath = Annotated[
    str,
    Path(pattern=MIX_ID_PATTERN, description="id of the mix", openapi_examples={"a": {"value": "demo-1"}}),
]

_WHEN = {
    400: "what was sent cannot be read",
    401: "there are tokens, and none that is good was sent",
    403: "the token may read and change nothing",
    404: "nobody has ever asked for such a mix",
    408: "the body did not arrive in time",
    409: "it does not fit what is there",
    410: "the file was deleted",
    413: "the body is larger than is taken: 64 KiB for a config, 16 MiB for all else",
    415: "the body is not said to be JSON",
    412: "what it was asked for is not in force any more",
    416: "the file has no such bytes",
    422: "what was sent cannot be; every error is named",
    503: "a part that is needed is away or behind: ask again after Retry-After seconds",
}
ALWAYS = (400, 401)
INVALID = 422
CHANGING = (*ALWAYS, 403, 408, 413, 415, 422, 503)

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """The `responses` of an endpoint that may tell problems of these statuses, and of those that all tell."""
    return {status: _problem(status) for status in sorted({*ALWAYS, *statuses})}


def every_problem() -> Responses:
    """The description of each status that is told as a problem."""
    return {status: _problem(status) for status in _WHEN}


def _problem(status: int) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "detail": _WHEN[status],
    }
    if status == INVALID:
        example["errors"] = [
            {"path": "/lines/0/end_ms", "code": "missing", "message": "Field required"},
        ]
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {"description": _WHEN[status], "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}
