"""The OpenAPI description: what FastAPI knows of the endpoints, and what the middlewares add to that."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stream_app.api.access import OPEN_PATHS
from stream_app.api.bodies import CHANGING as CHANGING_METHODS
from stream_app.api.documented import every_problem, problems
from stream_app.api.problems import ProblemDetails
from topics.requests import MixRequest, MixRevise

DESCRIPTION = """
The log in Kafka is the truth; what is read here is folded from it.

* **Errors** are RFC 9457 problem details, `application/problem+json`, whatever went wrong.
* **What changes something** must be sent as `Content-Type: application/json`, and is answered when Kafka
  has acknowledged it. Doing it again does no harm.
* **Tokens**, where there are any, are sent as `Authorization: Bearer ...`: role *read* may read, *operate*
  may change things too.
* **A trace**: send `traceparent`, and all that is done for the request carries its trace id.
"""

TAGS = [
    {"name": "mixes", "description": "Ask for mixes, stop and change them, and see how far they are."},
    {"name": "events", "description": "Follow what happens, from the log."},
    {"name": "files", "description": "Fetch what was made."},
    {"name": "render config", "description": "See and change how the workers cut, while they run."},
    {"name": "service", "description": "For whoever runs it."},
]

_MIX: dict[str, Any] = {
    "mix_id": "demo-1",
    "song": {"uri": "media/samples/song.m4a"},
    "subtitles": {"sidecar": ["srt"]},
    "lines": [
        {
            "text": "first line",
            "start_ms": 0,
            "end_ms": 3000,
            "candidates": [{"video_id": "neon", "uri": "media/samples/neon-grid.mp4", "start_ms": 12_000}],
        }
    ],
}
_CHANGE: dict[str, Any] = {
    "lines": [
        {
            "line_id": "1",
            "text": "first line",
            "start_ms": 0,
            "end_ms": 3000,
            "candidates": [{"video_id": "neon", "uri": "media/samples/neon-grid.mp4", "start_ms": 20_000}],
        }
    ]
}
_CHANGE_NAME = "MixChange"


def _body(schema: dict[str, Any], examples: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": required,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        }
    }


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


SUBMIT_BODY = _body(
    _reference("MixRequest"), {"smallest": {"summary": "one line, one candidate", "value": _MIX}}
)
REVISE_BODY = _body(
    _reference(_CHANGE_NAME), {"line": {"summary": "another candidate for a line", "value": _CHANGE}}
)
CANCEL_BODY = _body(
    {"type": "object", "additionalProperties": False},
    {"nothing": {"summary": "nothing more needs to be said", "value": {}}},
    required=False,
)


def describe(app: FastAPI) -> None:
    """Have `app` tell the whole description."""
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(made_by_fastapi())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign] # the way that FastAPI's documentation shows


def _complete(schema: dict[str, Any]) -> None:
    """Add the bodies that are read by ourselves, the problems, and who may ask."""
    components = schema.setdefault("components", {})
    models: list[type[BaseModel]] = [MixRequest, MixRevise, ProblemDetails]
    problem_answers = {str(status): answer for status, answer in every_problem().items()}
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas = components.setdefault("schemas", {})
    # FastAPI's own form of a validation error is never sent.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update({name: each for name, each in definitions["$defs"].items() if name not in schemas})
    schemas[_CHANGE_NAME] = _without(schemas.pop("MixRevise"), "type", "mix_id")
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "role read, or operate to change things"}
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            # The empty one: without any tokens, whoever is on this machine may ask.
            operation["security"] = [] if path in OPEN_PATHS else [{"token": []}, {}]
            expected = problems(403, 415) if method.upper() in CHANGING_METHODS else problems()
            answers = {str(status): answer for status, answer in expected.items()} | operation["responses"]
            for status, answer in answers.items():
                if status in problem_answers and not _is_described(answer):
                    answer["content"] = problem_answers[status]["content"]
            operation["responses"] = dict(sorted(answers.items()))


def _is_described(answer: dict[str, Any]) -> bool:
    """Whether an error says how it is told: not at all, or in FastAPI's own form, is no description."""
    return "content" in answer and "HTTPValidationError" not in str(answer["content"])


def _without(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    """The address names the mix and what is asked, so the body need not."""
    kept = {name: each for name, each in schema["properties"].items() if name not in names}
    return {
        **schema,
        "properties": kept,
        "required": [name for name in schema.get("required", []) if name not in names],
        "title": _CHANGE_NAME,
    }
