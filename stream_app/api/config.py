"""`/api/v1/render/config`: the render config, changes to it, and its history."""

import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field

from stream_app.api.problems import Problem, pointer
from stream_app.config.service import ConfigService, KafkaAwayError, StaleVersionError
from stream_app.domain.config import ConfigInForce, InvalidConfigError
from stream_app.domain.errors import OwnFaultError
from topics.codec import Poison, Tombstone, read_object
from topics.config import MAX_CONFIG_BYTES, RenderClipConfig

RETRY_AFTER_S = 5
_ETAG = re.compile(r'\s*(?:\*|(?P<weak>W/)?"(?P<version>[^"]*)")\s*(?:,|$)')

EXAMPLE = {"max_parallelism": 6, "per_video_limit": 2, "max_retry": 3}


class ConfigAnswer(RenderClipConfig):
    """The config in force."""

    config_version: int = Field(description="offset of the record that set it; -1: the default")


class ChangeAnswer(BaseModel):
    """A record of `render-config` that was to change something."""

    config_version: int = Field(description="its offset")
    changed_at: str | None = Field(description="when Kafka got it, RFC 3339 in UTC")
    actor: str = Field(description="name of a token, api, cli or serve; kcat when the record names nobody")
    valid: bool = Field(description="whether it came into force")
    error: str | None = Field(description="why it did not")
    config: dict[str, Any] = Field(description="the whole config after it")
    changes: dict[str, list[Any]] = Field(description="field: [old, new]")


class HistoryAnswer(BaseModel):
    """Changes, the newest first."""

    changes: list[ChangeAnswer]


def make_config_router(service: ConfigService) -> APIRouter:
    """The router; who changes the config is `request.state.actor`, set by authentication, else `api`."""
    router = APIRouter(prefix="/api/v1/render/config", tags=["render config"])

    @router.get("", summary="The config in force")
    async def get_config(response: Response) -> ConfigAnswer:
        try:
            in_force = await service.get()
        except KafkaAwayError as error:
            raise _unavailable(error) from error
        return _answer(in_force, response)

    @router.patch(
        "",
        summary="Change some fields; in force in running workers at once",
        responses={
            412: {"description": "the version named by If-Match is not in force any more"},
            413: {"description": f"the body has more than {MAX_CONFIG_BYTES} bytes"},
            422: {"description": "every error, with the field it is in"},
            503: {"description": "Kafka does not answer; Retry-After says when to try again"},
        },
        openapi_extra={"requestBody": _request_body()},
    )
    async def patch_config(
        request: Request,
        response: Response,
        if_match: Annotated[str | None, Header(description="the ETag that the change is made to")] = None,
    ) -> ConfigAnswer:
        versions = None if if_match is None else _versions(if_match)
        changes = await _changes(request)
        actor = getattr(request.state, "actor", "api")
        try:
            in_force = await service.change(changes, actor=actor, versions=versions)
        except InvalidConfigError as error:
            raise _invalid(error) from error
        except StaleVersionError as error:
            raise Problem(412, str(error), headers={"ETag": _etag(error.in_force)}) from error
        except OwnFaultError as error:
            raise _unavailable(error) from error
        return _answer(in_force, response)

    @router.get("/history", summary="Who changed what, the newest first")
    async def get_history(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> HistoryAnswer:
        return HistoryAnswer(
            changes=[ChangeAnswer(**asdict(change)) for change in await service.history(limit)]
        )

    return router


def _answer(in_force: ConfigInForce, response: Response) -> ConfigAnswer:
    response.headers["ETag"] = _etag(in_force)
    return ConfigAnswer(config_version=in_force.version, **in_force.config.model_dump())


def _etag(in_force: ConfigInForce) -> str:
    return f'"{in_force.version}"'


def _versions(if_match: str) -> frozenset[int] | None:
    """The versions that an `If-Match` names; None for `*`. Weak and foreign tags match nothing (RFC 9110)."""
    if if_match.strip() == "*":
        return None
    versions = set()
    position = 0
    while position < len(if_match) or not position:
        tag = _ETAG.match(if_match, position)
        if tag is None or tag["version"] is None:
            raise Problem(400, f'If-Match: {if_match[:100]} is no list of ETags such as "7"')
        if not tag["weak"] and re.fullmatch(r"-?[0-9]{1,19}", tag["version"]):
            versions.add(int(tag["version"]))
        position = tag.end()
    return frozenset(versions)


async def _changes(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_CONFIG_BYTES:
            raise Problem(413, f"a config has at most {MAX_CONFIG_BYTES} bytes")
    changes = read_object(bytes(body) or None)
    if isinstance(changes, Poison | Tombstone):
        message = (
            changes.error if isinstance(changes, Poison) else "a JSON object is expected, and nothing came"
        )
        error = {"path": "", "code": "not_an_object", "message": message}
        raise Problem(422, "the body is no config; nothing was changed", errors=[error])
    return changes


def _invalid(error: InvalidConfigError) -> Problem:
    errors = [
        {
            "path": pointer([problem.field]) if problem.field else "",
            "code": problem.code,
            "message": problem.message,
        }
        for problem in error.problems
    ]
    return Problem(422, "nothing was changed: mend every field that is named", errors=errors)


def _unavailable(error: OwnFaultError) -> Problem:
    return Problem(503, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})


def _request_body() -> dict[str, Any]:
    schema = RenderClipConfig.model_json_schema()
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": False,
                    "properties": schema["properties"],
                },
                "example": EXAMPLE,
            }
        },
    }
