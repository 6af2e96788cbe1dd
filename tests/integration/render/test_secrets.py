"""Addresses may carry passwords and signatures: they are used to fetch, and told to nobody."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fault_server import Fault, FaultServer
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import ROOT

PASSWORD, SIGNATURE = "hunter2-of-ann", "s1gnature-of-the-cdn"


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(ROOT / "media/samples").in_thread() as server:
        yield server


def address(server: FaultServer, path: str) -> str:
    return server.url(path) + f"?token={SIGNATURE}#{SIGNATURE}"


def with_password(uri: str) -> str:
    return uri.replace("://", f"://ann:{PASSWORD}@")


def request(mix_id: str, *uris: str) -> dict[str, Any]:
    return {
        "mix_id": mix_id,
        "profile": {"width": 320, "height": 174, "fps": "30", "quality": "draft"},
        "lines": [
            {
                "text": "",
                "start_ms": 1000 * n,
                "end_ms": 1000 * n + 1000,
                "candidates": [{"video_id": f"secret-{n}", "uri": uri, "start_ms": 12_000}],
            }
            for n, uri in enumerate(uris)
        ],
    }


def secrets_in(text: str) -> set[str]:
    return {secret for secret in (PASSWORD, SIGNATURE) if secret in text}


def logs_of(stack: Stack) -> str:
    assert stack.serve is not None
    return stack.worker.log.read_text() + stack.serve.log.read_text()


def test_a_source_that_fails_tells_no_secret_of_its_address(stack: Stack, server: FaultServer) -> None:
    server.put("/page.mp4", b"<html>no video</html>" * 100)
    server.put("/list.m3u8", b"#EXTM3U\n#EXTINF:4,\nnowhere.ts\n#EXT-X-ENDLIST\n")
    server.faults |= {
        "/broken.mp4": Fault(status=500),
        "/closed.mp4": Fault(status=401),
        "/away.mp4": Fault(status=302, headers={"Location": f"http://10.1.2.3/a.mp4?token={SIGNATURE}"}),
        "/reset.mp4": Fault(reset=True),
        "/cut.mp4": Fault(body=(ROOT / "media/samples/neon-grid.mp4").read_bytes(), cut_after=70_000),
    }
    paths = ["/broken.mp4", "/closed.mp4", "/away.mp4", "/reset.mp4", "/cut.mp4", "/page.mp4", "/list.m3u8"]
    uris = [address(server, path) for path in paths]
    song = {"uri": address(server, "/nowhere.m4a")}
    uris += [f"http://127.0.0.1:1/a.mp4?k={SIGNATURE}", with_password(uris[0])]
    uris += [with_password(f"http://[broken/a.mp4?k={SIGNATURE}")]
    stack.submit(request("secret-sources", *uris))
    stack.submit(request("secret-song", uris[0]) | {"song": song})
    stack.wait_for_end("secret-sources")
    stack.wait_for_end("secret-song")

    assert {asked.target for asked in server.log if asked.path == "/broken.mp4"} == {
        f"/broken.mp4?token={SIGNATURE}"
    }
    story = stack.events("secret-sources")
    assert story[-1]["clip_stats"]["placeholder_tasks"] == len(uris)
    told = [*story, *stack.events("secret-song")]
    assert told[-1]["reason"] == "song_unavailable"
    for event in told:
        assert secrets_in(json.dumps(without_plan(event))) == set(), event["type"]
    assert "/broken.mp4" in logs_of(stack)
    assert secrets_in(logs_of(stack)) == set()
    shown = stack.sql("SELECT * FROM attempts WHERE mix_id LIKE 'secret-%'")
    assert shown
    assert secrets_in(str(shown)) == set()


def without_plan(event: dict[str, Any]) -> dict[str, Any]:
    """The event without the addresses that the plan is fetched by, which the workers need as they are."""
    event = json.loads(json.dumps(event))
    if event["type"] == "mix-accepted":
        event["song"] = None
        for line in event["lines"]:
            for candidate in line["candidates"]:
                assert secrets_in(candidate.pop("uri"))
    return event


def test_neither_does_a_request_that_is_refused(stack: Stack) -> None:
    address = with_password("{}://files.example/a.mp4?k=") + SIGNATURE
    uris = [address.format("ftp"), address.format("file")]
    stack.submit(request("secret-refused", *uris) | {"priority": "high"})
    stack.worker.wait_for("intake.decided", mix_id="secret-refused", result="rejected")
    (rejected,) = stack.events("secret-refused")
    assert len(rejected["errors"]) == len(uris) + 1
    assert secrets_in(json.dumps(rejected)) == set()
    assert secrets_in(logs_of(stack)) == set()


def test_neither_does_a_record_that_cannot_be_read(stack: Stack) -> None:
    typed = f'{{"mix_id": "x", "lines": [{{"uri": "http://ann:{PASSWORD}@a.example/?k={SIGNATURE}", NaN}}]}}'
    before = sum(line["event"] == "kafka.dead_letter" for line in stack.worker.lines())
    stack.kcat("-P", "-t", "mix-requests", "-K:", typed=f"x:{typed}\n")
    task = f'{{"type": "clip-task", "uri": "http://ann:{PASSWORD}@a.example/?k={SIGNATURE}"}}'
    stack.kcat("-P", "-t", "clip-tasks", "-K:", typed=f"x:{task}\n")
    stack.worker.wait_for("kafka.dead_letter", count=before + 2)
    assert secrets_in(logs_of(stack)) == set()
