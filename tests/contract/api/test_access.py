"""Who may ask what: every endpoint, with no token, a bad one, one that may read, one that may operate."""

from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.contract.api.client import MIXES, Guarded, bare, problem_of

READ, OPERATE = "read", "operate"
CONFIG = "/api/v1/render/config"
OPEN = [("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/docs"), ("GET", "/openapi.json")]
READING = [
    ("GET", "/metrics"),
    ("GET", MIXES),
    ("GET", f"{MIXES}/unknown"),
    ("GET", f"{MIXES}/unknown/clips"),
    ("GET", f"{MIXES}/unknown/events"),
    ("GET", f"{MIXES}/unknown/video"),
    ("HEAD", f"{MIXES}/unknown/video"),
    ("GET", f"{MIXES}/unknown/subtitles/srt"),
    ("GET", CONFIG),
    ("GET", f"{CONFIG}/history"),
    ("GET", "/nowhere"),
]
OPERATING = [
    ("GET", "/api/v1/sql"),
    ("POST", MIXES),
    ("POST", f"{MIXES}/unknown/cancel"),
    ("POST", f"{MIXES}/unknown/revise"),
    ("POST", "/nowhere"),
    ("PATCH", CONFIG),
    ("DELETE", MIXES),
]


def ask(guarded: Guarded, method: str, path: str, token: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"lines": []} if method in {"POST", "PATCH"} else None
    with guarded.client() as client:
        return client.request(method, path, headers=headers, json=body)


def test_every_endpoint_is_in_the_table(guarded: Guarded) -> None:
    paths = guarded.openapi()["paths"]
    told = {
        (method.upper(), path.replace("{mix_id}", "unknown").replace("{kind}", "srt"))
        for path, operations in paths.items()
        for method in operations
    }
    assert told <= {*OPEN, *READING, *OPERATING}


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_what_is_open_to_all(guarded: Guarded, method: str, path: str) -> None:
    assert ask(guarded, method, path, None).status_code == 200


@pytest.mark.parametrize(("method", "path"), READING + OPERATING)
@pytest.mark.parametrize("token", [None, "a-token-that-nobody-has", "", "x" * 10_000])
def test_nothing_else_is_told_without_a_good_token(
    guarded: Guarded, method: str, path: str, token: str | None
) -> None:
    answer = ask(guarded, method, path, token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    if method != "HEAD":
        problem_of(answer, 401)


@pytest.mark.parametrize(("method", "path"), READING)
@pytest.mark.parametrize("role", [READ, OPERATE])
def test_who_may_read_reads(guarded: Guarded, method: str, path: str, role: str) -> None:
    assert ask(guarded, method, path, guarded.tokens[role]).status_code in {200, 404}


@pytest.mark.parametrize(("method", "path"), OPERATING)
def test_who_may_only_read_changes_nothing(guarded: Guarded, method: str, path: str) -> None:
    answer = ask(guarded, method, path, guarded.tokens[READ])
    problem_of(answer, 403)
    assert "insufficient_scope" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("method", "path"), OPERATING)
def test_who_may_operate_gets_as_far_as_what_was_asked(guarded: Guarded, method: str, path: str) -> None:
    assert ask(guarded, method, path, guarded.tokens[OPERATE]).status_code in {404, 405, 422}


@pytest.mark.parametrize("scheme", ["Basic", "bearer", "BEARER", "Token"])
def test_only_bearer_is_a_scheme(guarded: Guarded, scheme: str) -> None:
    with guarded.client() as client:
        answer = client.get(MIXES, headers={"Authorization": f"{scheme} {guarded.tokens[READ]}"})
    assert answer.status_code == (200 if scheme.lower() == "bearer" else 401)


def test_a_token_in_the_address_is_no_token(guarded: Guarded) -> None:
    with guarded.client() as client:
        assert client.get(MIXES, params={"access_token": guarded.tokens[READ]}).status_code == 401


def test_with_tokens_any_name_of_the_machine_is_answered_for(guarded: Guarded) -> None:
    headers = {"Authorization": f"Bearer {guarded.tokens[READ]}", "Host": "studio.example:8080"}
    with guarded.client() as client:
        assert client.get(MIXES, headers=headers).status_code == 200


def test_who_asked_is_known_and_no_secret_is_ever_told(guarded: Guarded) -> None:
    headers = {"Authorization": f"Bearer {guarded.tokens[OPERATE]}"}
    with guarded.client(headers=headers) as client:
        asked = client.post(MIXES, json=bare("asked-by-ann")).raise_for_status().json()
    _, partition, offset = asked["record"].split("/")
    record = guarded.kcat(*("-C", "-t", "mix-requests", "-p", partition, "-o", offset, "-c", "1", "-f", "%h"))
    assert "actor=ann" in record
    log = guarded.serve.log.read_text()
    assert '"actor": "ann"' in log
    for secret in guarded.tokens.values():
        assert secret not in log
        assert sha256(secret.encode()).hexdigest() not in log


def test_the_description_says_what_needs_a_token(guarded: Guarded) -> None:
    described: dict[str, Any] = guarded.openapi()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert described["paths"]["/healthz"]["get"]["security"] == []
    assert {"token": []} in described["paths"][MIXES]["post"]["security"]
