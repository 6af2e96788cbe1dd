"""What cannot be is told with every error of it, as a problem, and nothing is sent."""

import http.client
import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.api.client import JSON, MIXES, Stack, bare, problem_of, url_of
from tests.unit.domain.test_validate import BAD

# JSON has no infinity: that one is told as what it is.
INVALID = {kind: case for kind, case in BAD.items() if kind != "infinite score"}


@pytest.mark.parametrize("kind", INVALID)
def test_each_kind_of_invalid_request_is_told_with_every_error(client: httpx.Client, kind: str) -> None:
    body, expected = INVALID[kind]
    told = problem_of(client.post(MIXES, json=body), 422)
    assert {(error["path"], error["code"]) for error in told["errors"]} == expected
    assert all(error["message"] for error in told["errors"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[1, 2]", 422),
        (b'{"a": NaN}', 400),
        (b'{"a":' * 101 + b"1" + b"}" * 101, 400),
        (b"\xff\xfe", 400),
        (b'{"type": "mix-cancel", "mix_id": "x"}', 422),
        (b'{"type": "nonsense"}', 422),
    ],
)
def test_what_is_no_mix_request(client: httpx.Client, body: bytes, status: int) -> None:
    problem_of(client.post(MIXES, content=body, headers=JSON), status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", f"{MIXES}/", 404),
        ("GET", f"{MIXES}/Not%20An%20Id", 422),
        ("GET", f"{MIXES}/{'a' * 65}", 422),
        ("GET", f"{MIXES}/..%2f..%2fetc%2fpasswd/video", 404),
        ("DELETE", f"{MIXES}/a", 405),
        ("PUT", MIXES, 405),
        ("OPTIONS", MIXES, 405),
        ("GET", f"{MIXES}?limit=0", 422),
        ("GET", f"{MIXES}?limit=ten", 422),
        ("GET", f"{MIXES}?status=lost", 422),
        ("POST", f"{MIXES}/a/cancel?x=1", 415),
    ],
)
def test_every_error_is_a_problem(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    problem_of(answer, status)
    assert ("allow" in answer.headers) == (status == 405)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
def test_what_a_page_of_another_site_can_send_changes_nothing(
    client: httpx.Client, content_type: str | None
) -> None:
    """Browsers send these kinds anywhere without asking first."""
    headers = {"Origin": "https://evil.example"} | ({"Content-Type": content_type} if content_type else {})
    content = json.dumps(bare("forged-form")).encode()
    problem_of(client.post(MIXES, content=content, headers=headers), 415)
    problem_of(client.post(f"{MIXES}/rendered/cancel", content=b"", headers=headers), 415)
    problem_of(client.get(f"{MIXES}/forged-form"), 404)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "[", ""])
def test_a_name_that_others_gave_our_address_is_not_ours(client: httpx.Client, host: str) -> None:
    problem_of(client.get(MIXES, headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:80"])
def test_loopback_by_any_of_its_names(client: httpx.Client, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_body_that_is_too_large_is_refused_said_or_unsaid(client: httpx.Client) -> None:
    large = b" " * (16 * 2**20 + 1)
    problem_of(client.post(MIXES, content=large, headers=JSON), 413)
    chunks = (large[start : start + 2**20] for start in range(0, len(large), 2**20))
    problem_of(client.post(MIXES, content=chunks, headers=JSON), 413)


def test_a_length_that_is_only_said_is_enough_to_refuse(stack: Stack) -> None:
    address = urlsplit(url_of(stack.serve)).netloc
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.putrequest("POST", MIXES)
    for name, value in {**JSON, "Content-Length": str(10**12)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_headers_and_addresses_have_a_limit(client: httpx.Client) -> None:
    for path, headers in (("/healthz", {"X": "a" * 2_000_000}), (f"/{'a' * 60_000}", {"X": "a" * 2_000_000})):
        # The server does not read on: the client may be cut off before it has read why.
        with suppress(httpx.TransportError), client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 400
    assert client.get("/healthz").status_code == 200


def test_a_change_that_cannot_be(client: httpx.Client, rendered: dict[str, Any]) -> None:
    assert rendered
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"mix_id": "other"}, "/mix_id", "bad_value"),
        ({"type": "mix-request"}, "/lines", "missing"),
        ({"lines": [{"start_ms": 0, "end_ms": 100}]}, "/lines/0/line_id", "missing"),
        ({"profile": {}}, "/profile", "unknown_field"),
        ({"priority": 10}, "/priority", "out_of_range"),
    ]
    for body, path, code in cases:
        told = problem_of(client.post(f"{MIXES}/rendered/revise", json=body), 422)
        assert (path, code) in {(error["path"], error["code"]) for error in told["errors"]}, body
    problem_of(client.post(f"{MIXES}/rendered/cancel", json={"why": "so"}), 422)
    assert client.get(f"{MIXES}/rendered").json() == rendered
