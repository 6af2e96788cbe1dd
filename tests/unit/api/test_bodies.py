"""What is sent arrives whole and in time, or is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from stream_app.api import bodies
from stream_app.api.bodies import json_only, read_body
from stream_app.api.problems import install_problems


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(dependencies=[Depends(json_only)])
    install_problems(app)

    @app.post("/")
    async def echo(request: Request) -> dict[str, Any]:
        return await read_body(request)

    return app


async def post(app: FastAPI, content: Any, content_type: str = "application/json") -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post("/", content=content, headers={"Content-Type": content_type})


async def test_a_body_that_never_ends_is_not_waited_for(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.1)

    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await post(app, dripping())
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"
    assert answer.json()["title"] == "Request Timeout"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/merge-patch+json", 200),
        ("text/json", 415),
        ("text/plain; application/json", 415),
        ("application/jsonx", 415),
        ("application/json, text/plain", 415),
    ],
)
async def test_what_counts_as_json(app: FastAPI, content_type: str, status: int) -> None:
    assert (await post(app, b'{"a": 1}', content_type)).status_code == status
