"""What the tests of the API ask with."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.integration.render.roles import Role, wait_until

MIXES = "/api/v1/mixes"
JSON = {"Content-Type": "application/json"}
TIMEOUT_S = 30


@dataclass
class Stack:
    """The running parts."""

    home: Path
    artifacts: Path
    environment: dict[str, str]
    worker: Role
    serve: Role

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=url_of(self.serve), timeout=TIMEOUT_S, **options)

    @contextmanager
    def nobody_decides(self) -> Iterator[None]:
        """The worker stands still meanwhile: to be shorter than Kafka's patience with it, 10 s."""
        self.worker.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.worker.process.send_signal(signal.SIGCONT)

    def kcat(self, *arguments: str, typed: str | None = None) -> str:
        """What kcat says, given `typed` on its stdin."""
        command = ["kcat", "-b", self.environment["RENDER_KAFKA_BOOTSTRAP"], "-q", *arguments]
        done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout


@dataclass
class Guarded:
    """A `serve` with tokens, on a Kafka that nobody works for: what is asked there stays queued."""

    home: Path
    bootstrap: str
    serve: Role
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        return url_of(self.serve)

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=TIMEOUT_S, **options)

    def openapi(self) -> dict[str, Any]:
        with self.client() as client:
            described: dict[str, Any] = client.get("/openapi.json").raise_for_status().json()
        return described

    def kcat(self, *arguments: str) -> str:
        command = ["kcat", "-b", self.bootstrap, "-q", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def url_of(serve: Role) -> str:
    address = [line["address"] for line in serve.lines() if line["event"] == "serve.started"][-1]
    return f"http://{address[0]}:{address[1]}"


def small(request: dict[str, Any], mix_id: str, lines: int) -> dict[str, Any]:
    """The first lines, without a song to fill up to, in a picture that is quick to make."""
    profile = {"width": 160, "height": 90, "fps": "30", "quality": "draft"}
    return {
        **request,
        "mix_id": mix_id,
        "profile": profile,
        "song": None,
        "lines": request["lines"][:lines],
        "subtitles": {"sidecar": ["srt"]},
    }


def bare(mix_id: str, **changes: Any) -> dict[str, Any]:
    """A mix of one placeholder: nothing is to be had or cut for it."""
    line = {"text": "la", "start_ms": 0, "end_ms": 200, "candidates": []}
    return {"mix_id": mix_id, "profile": {"width": 160, "height": 90}, "lines": [line], **changes}


def wait_for_status(client: httpx.Client, mix_id: str, status: str, timeout_s: float = 120) -> dict[str, Any]:
    """Wait until the API tells that status."""
    told: dict[str, Any] = {}

    def has_it() -> bool:
        told.update(client.get(f"{MIXES}/{mix_id}").raise_for_status().json())
        return bool(told["status"] == status)

    wait_until(has_it, f"{mix_id} is {status}", timeout_s, poll_s=0.2)
    return told


def wait_until_listed(client: httpx.Client, mix_id: str, status: str = "rendered") -> None:
    """Wait until the snapshot has it, from which lists are made."""

    def is_listed() -> bool:
        page = client.get(MIXES, params={"status": status, "limit": 1000}).raise_for_status().json()
        return mix_id in {mix["mix_id"] for mix in page["items"]}

    wait_until(is_listed, f"{mix_id} is listed as {status}", poll_s=0.2)


@dataclass(frozen=True)
class Told:
    """A server-sent event."""

    id: str
    event: str
    data: dict[str, Any]


def events_in(answer: httpx.Response) -> Iterator[Told]:
    """The events of a stream as they come; comments are passed over."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            yield Told(fields["id"], fields["event"], json.loads(fields["data"]))
        fields = {}


def problem_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that was told; everything that RFC 9457 asks of it holds."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["type"] == "about:blank"
    assert told["title"]
    assert told["detail"]
    return told
