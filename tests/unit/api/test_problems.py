"""What goes wrong inside is told as a problem that gives nothing away, and can be found in the log."""

import json

import httpx
import pytest
from fastapi import FastAPI, Response

from stream_app.api.problems import PlainErrors, install_problems
from stream_app.api.request_log import RequestLog
from stream_app.telemetry.log import configure_logging


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_problems(app)
    app.add_middleware(PlainErrors)
    app.add_middleware(RequestLog)

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("the password is hunter2")

    @app.get("/plain")
    async def plain() -> Response:
        return Response("so it is", 418, {"Retry-After": "7", "X-Other": "x"}, media_type="text/plain")

    return app


async def get(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})


async def test_a_fault_in_the_program_is_a_problem_with_its_trace(
    app: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info")
    answer = await get(app, "/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["trace_id"] == "a" * 32
    assert "hunter2" not in answer.text
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (failed,) = [line for line in lines if line["event"] == "api.failed"]
    assert failed["trace_id"] == "a" * 32
    assert "ValueError" in failed["exception"]
    assert [line["status"] for line in lines if line["event"] == "api.request"] == [500]


async def test_an_error_in_plain_text_becomes_a_problem(app: FastAPI) -> None:
    answer = await get(app, "/plain")
    assert (answer.status_code, answer.headers["content-type"]) == (418, "application/problem+json")
    assert answer.json() == {
        "type": "about:blank",
        "title": "I'm a Teapot",
        "status": 418,
        "detail": "so it is",
    }
    assert answer.headers["retry-after"] == "7"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "x-other" not in answer.headers
