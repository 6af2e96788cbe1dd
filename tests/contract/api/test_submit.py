"""Asking: acknowledged once, whatever is sent twice, and found at once by who asks for it."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.api.client import MIXES, Stack, bare, events_in, problem_of, small, wait_for_status


def typed(stack: Stack, mix_id: str, value: str, *arguments: str) -> None:
    """A request typed with kcat, as people do who know nothing of the API."""
    stack.kcat("-P", "-t", "mix-requests", "-K|", *arguments, typed=f"{mix_id}|{value}\n")


def story(client: httpx.Client, mix_id: str) -> list[str]:
    with client.stream("GET", f"{MIXES}/{mix_id}/events") as stream:
        return [event.event for event in events_in(stream)]


def test_a_mix_is_found_at_once_and_is_queued_until_a_worker_decides(
    stack: Stack, client: httpx.Client
) -> None:
    with stack.nobody_decides():
        asked = client.post(MIXES, json=bare("queued")).json()
        told = client.get(f"{MIXES}/queued").json()
        assert (told["status"], told["revision"], told["requests"]) == ("queued", None, [asked["record"]])
        assert client.get(f"{MIXES}/queued/clips").json() == {"items": [], "next_cursor": None}
        assert "is queued" in problem_of(client.get(f"{MIXES}/queued/video"), 404)["detail"]
        # The same again, in other words: other order, other spelling, a default said aloud.
        again = client.post(MIXES, json={"priority": 5, **bare("queued")})
        assert (again.status_code, again.json()) == (202, asked)
        other = problem_of(client.post(MIXES, json=bare("queued", priority=9)), 409)
        assert [(error["path"], error["code"]) for error in other["errors"]] == [("/mix_id", "mix_exists")]
        assert asked["record"] in other["detail"]
    assert story(client, "queued") == ["mix-accepted", "clip-placeholder", "mix-rendered"]
    wait_for_status(client, "queued", "rendered")
    assert client.post(MIXES, json=bare("queued")).json() == asked
    problem_of(client.post(MIXES, json=bare("queued", priority=9)), 409)


def test_what_is_asked_many_times_at_once_is_sent_once(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(MIXES, json=bare("at-once")), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["record"] for answer in answers}) == 1


def test_a_request_without_an_id_is_named_by_its_content(client: httpx.Client) -> None:
    nameless = bare("x")
    del nameless["mix_id"]
    first, second = (client.post(MIXES, json=nameless).json() for _ in range(2))
    assert first == second
    assert first["mix_id"].startswith("mix-")
    assert client.get(first["location"]).json()["mix_id"] == first["mix_id"]


def test_a_mended_request_counts_after_a_rejected_one(stack: Stack, client: httpx.Client) -> None:
    typed(stack, "mended", json.dumps({"mix_id": "mended", "lines": []}))
    told = wait_for_status(client, "mended", "rejected")
    assert (told["revision"], told["reason"], told["clip_stats"]) == (None, "out_of_range", None)
    assert story(client, "mended") == ["mix-rejected"]
    with stack.nobody_decides():
        assert client.post(MIXES, json=bare("mended")).status_code == 202
        assert client.get(f"{MIXES}/mended").json()["status"] == "queued"
    expected = ["mix-rejected", "mix-accepted", "clip-placeholder", "mix-rendered"]
    assert story(client, "mended") == expected


def test_headers_of_somebody_else_do_no_harm(stack: Stack, client: httpx.Client) -> None:
    typed(stack, "strange-header", json.dumps(bare("strange-header")), "-H", "clipfold-origin=nowhere")
    assert client.post(MIXES, json=bare("after-the-strange")).status_code == 202
    wait_for_status(client, "after-the-strange", "rendered")
    assert client.get(f"{MIXES}/strange-header").json()["status"] in {"queued", "rendered"}


def test_revise_and_cancel(client: httpx.Client, slow_case: dict[str, Any]) -> None:
    # Long enough to be in work when it is cancelled; nothing of it is waited for.
    lines = [{**line, "candidates": slow_case["lines"][0]["candidates"]} for line in slow_case["lines"]]
    assert client.post(MIXES, json=small({**slow_case, "lines": lines}, "stopped", 60)).status_code == 202
    with client.stream("GET", f"{MIXES}/stopped/events") as stream:
        events = events_in(stream)
        assert next(events).event == "mix-accepted"
        change = {"lines": [{**lines[0], "line_id": "1", "candidates": []}]}
        revised = client.post(f"{MIXES}/stopped/revise", json=change)
        assert (revised.status_code, revised.json()["revision"]) == (202, 2)
        revisions = (event.data["revision"] for event in events if event.event == "mix-accepted")
        assert next(revisions) == 2
        again = client.post(f"{MIXES}/stopped/revise", json=change).json()
        assert (again["record"], again["revision"]) == (None, 2)
        cancelled = client.post(f"{MIXES}/stopped/cancel", headers={"Content-Type": "application/json"})
        assert cancelled.status_code == 202
        last = list(events)[-1]
    assert (last.event, last.data["caused_by"]) == ("mix-cancelled", cancelled.json()["record"])
    assert client.post(f"{MIXES}/stopped/cancel", json={}).json()["record"] is None
    told = wait_for_status(client, "stopped", "cancelled")
    assert (told["revision"], told["reason"]) == (2, "requested")


def test_a_rendered_mix_is_revised_but_not_cancelled(stack: Stack, client: httpx.Client) -> None:
    client.post(MIXES, json=bare("again"))
    wait_for_status(client, "again", "rendered")
    assert "nothing to stop" in problem_of(client.post(f"{MIXES}/again/cancel", json={}), 409)["detail"]
    line = {"line_id": "1", "text": "lala", "start_ms": 0, "end_ms": 300}
    assert client.post(f"{MIXES}/again/revise", json={"lines": [line]}).json()["revision"] == 2
    assert story(client, "again").count("mix-rendered") == 2
    late = {"lines": [{"line_id": "2", "start_ms": 100, "end_ms": 200}]}
    told = problem_of(client.post(f"{MIXES}/again/revise", json=late), 422)
    assert [(error["path"], error["code"]) for error in told["errors"]] == [("/lines/0/start_ms", "overlap")]
    with stack.nobody_decides():
        client.post(f"{MIXES}/again/revise", json={"priority": 9}).raise_for_status()
        # It has ended, and is about to be in work again.
        assert client.post(f"{MIXES}/again/cancel", json={}).status_code == 202
    told = wait_for_status(client, "again", "cancelled")
    assert told["revision"] == 3


@pytest.mark.parametrize("command", ["cancel", "revise"])
def test_nothing_is_sent_for_a_mix_that_nobody_knows(client: httpx.Client, command: str) -> None:
    problem_of(client.post(f"{MIXES}/never-heard-of/{command}", json={}), 404)
    problem_of(client.get(f"{MIXES}/never-heard-of"), 404)
    problem_of(client.get(f"{MIXES}/never-heard-of/events"), 404)
