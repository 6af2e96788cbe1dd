"""`/api/v1/render/config`: the render config, changes to it, and its history."""

import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from stream_app.api.access import actor_of
from stream_app.api.bodies import read_body
from stream_app.api.documented import CHANGING, Responses, problems
from stream_app.api.paging import Cursor, number_in
from stream_app.api.parts import PartsOf
from stream_app.api.problems import Problem, invalid, pointer
from stream_app.config.service import ConfigService, StaleVersionError
from stream_app.domain.config import ConfigInForce, InvalidConfigError
from topics.config import MAX_CONFIG_BYTES, RenderClipConfig
from topics.events import FieldError

_ETAG = re.compile(r'\s*(?:\*|(?P<weak>W/)?"(?P<version>[^"]*)")\s*(?:,|$)')

_CONFIG = RenderClipConfig().model_dump()
_CHANGE = {"max_parallelism": 6, "per_video_limit": 2, "max_retry": 3}
_CHANGED: dict[str, Any] = {
    "config_version": 7,
    "changed_at": "2026-01-02T03:04:05.678Z",
    "actor": "ann",
    "valid": True,
    "error": None,
    "config": {**_CONFIG, **_CHANGE},
    "changes": {"max_parallelism": [4, 6], "max_retry": [2, 3]},
}


class ConfigAnswer(RenderClipConfig):
    """The config in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_CONFIG, **_CHANGE, "config_version": 7}]})

    config_version: int = Field(description="offset of the record that set it; -1: the default")


class ChangeAnswer(BaseModel):
    """A record of `render-config` that was to change something."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHANGED]})

    config_version: int = Field(description="its offset")
    changed_at: str | None = Field(description="when Kafka got it, RFC 3339 in UTC")
    actor: str = Field(description="name of a token, api, cli or serve; kcat when the record names nobody")
    valid: bool = Field(description="whether it came into force")
    error: str | None = Field(description="why it did not")
    config: dict[str, Any] = Field(description="the whole config after it")
    changes: dict[str, list[Any]] = Field(description="field: [old, new]")


class HistoryAnswer(BaseModel):
    """Some changes, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"changes": [_CHANGED], "next_cursor": None}]})

    changes: list[ChangeAnswer]
    next_cursor: str | None = Field(description="send it as `cursor` for those that follow; null at the end")


_IN_FORCE: Responses = {
    200: {
        "headers": {"ETag": {"description": "the version, to change just that", "schema": {"type": "string"}}}
    }
}


def make_config_router(service: ConfigService) -> APIRouter:
    """The endpoints, on what `service` has read."""
    router = APIRouter(prefix="/api/v1/render/config", tags=["render config"])

    @router.get(
        "",
        operation_id="getRenderConfig",
        summary="Tell the config in force",
        responses=problems(503) | _IN_FORCE,
    )
    async def get_config(response: Response) -> ConfigAnswer:
        """The limits that workers obey, and their version, which is the `ETag` too."""
        return _answer(await service.get(), response)

    @router.patch(
        "",
        operation_id="changeRenderConfig",
        summary="Change some fields of the config",
        responses=problems(*CHANGING, 412) | _IN_FORCE,
        openapi_extra={"requestBody": _request_body()},
    )
    async def patch_config(
        request: Request,
        response: Response,
        if_match: Annotated[
            str | None, Header(description='the ETag of what is to be changed, such as "7"; else a 412')
        ] = None,
    ) -> ConfigAnswer:
        """Change what is named and leave the rest; running workers obey at once, in the middle of a mix.

        The answer comes when Kafka has acknowledged the change, and `GET` tells it from then on. With
        `If-Match` nothing is changed that somebody else has changed meanwhile. A placeholder must lie under a
        media root and decode. What is wrong changes nothing, and is a 422 with every error.

        After a 503 the detail says whether the change may still come into force: get the config, and see.
        """
        versions = None if if_match is None else _versions(if_match)
        changes = await read_body(request, max_bytes=MAX_CONFIG_BYTES)
        try:
            in_force = await service.change(changes, actor=actor_of(request), versions=versions)
        except InvalidConfigError as error:
            raise _invalid(error) from error
        except StaleVersionError as error:
            raise Problem(412, str(error), headers={"ETag": _etag(error.in_force)}) from error
        return _answer(in_force, response)

    @router.get(
        "/history",
        operation_id="listRenderConfigChanges",
        summary="List changes of the config, newest first",
        responses=problems(422, 503),
    )
    async def get_history(
        parts: PartsOf,
        limit: Annotated[int, Query(ge=1, le=1000, description="changes in one page")] = 100,
        cursor: Cursor = None,
    ) -> HistoryAnswer:
        """Who changed what, and when; what was typed wrong, and why it did not count.

        Pages do not shift when the config is changed meanwhile.
        """
        before = number_in(cursor) if cursor else None
        found = await service.history(parts.snapshot, limit + 1, before=before)
        changes = [ChangeAnswer(**asdict(change)) for change in found[:limit]]
        next_cursor = str(changes[-1].config_version) if len(found) > limit else None
        return HistoryAnswer(changes=changes, next_cursor=next_cursor)

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


def _invalid(error: InvalidConfigError) -> Problem:
    return invalid(
        [
            FieldError(
                path=pointer([problem.field]) if problem.field else "",
                code=problem.code,
                message=problem.message,
            )
            for problem in error.problems
        ]
    )


def _request_body() -> dict[str, Any]:
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": False,
                    "properties": RenderClipConfig.model_json_schema()["properties"],
                },
                "example": _CHANGE,
            }
        },
    }
