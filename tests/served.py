"""A `clipfold serve`, and a client that speaks to it over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.render.roles import ROOT, Role

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Serve:
    """A `clipfold serve`, its Kafka, and the folder that placeholders may lie in."""

    bootstrap: str
    folder: Path
    name: str = "serve"
    role: Role = field(init=False)

    def __post_init__(self) -> None:
        environment = {
            "RENDER_KAFKA_BOOTSTRAP": self.bootstrap,
            "RENDER_ARTIFACTS_DIR": str(self.folder / self.name),
            "RENDER_MEDIA_ROOTS": f"{self.media}:{ROOT}",
            "RENDER_API_PORT": "0",
        }
        self.role = Role("serve", environment, self.folder / f"{self.name}.log")

    @property
    def media(self) -> Path:
        """A media root."""
        folder = self.folder / "media root"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def start(self) -> "Serve":
        self.role.start()
        self.role.wait_for("serve.started", timeout_s=120)
        return self

    def ask(
        self, path: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        # One that was killed and started again listens elsewhere.
        address = [line for line in self.role.lines() if line["event"] == "serve.started"][-1]["address"]
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{address[0]}:{address[1]}{path}", data, {**JSON, **(headers or {})}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return Answer(answer.status, answer.headers, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, json.loads(error.read()))
