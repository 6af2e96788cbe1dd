"""What cannot be used is told or put aside, and neither stops nor delays what comes next."""

import json
from typing import Any

from tests.integration.render.conftest import Stack
from tests.integration.render.roles import wait_until
from tests.integration.render.test_parallel_clip_pipeline import small
from tests.unit.domain.requests import line, request
from tests.unit.domain.test_validate import BAD


def typed(stack: Stack, key: str, value: str, *arguments: str) -> None:
    stack.kcat("-P", "-t", "mix-requests", "-K|", *arguments, typed=f"{key}|{value}\n")


def test_each_kind_of_invalid_request_is_rejected_once_with_every_error(
    stack: Stack, slow_case: dict[str, Any]
) -> None:
    # JSON has no infinity, so kcat cannot type that one as it stands.
    kinds = {f"bad-{number}": kind for number, kind in enumerate(BAD) if kind != "infinite score"}
    assert len(kinds) >= 20
    lines = []
    for mix_id, kind in kinds.items():
        body = dict(BAD[kind][0])
        if kind != "bad mix_id":
            body["mix_id"] = mix_id
        lines.append(f"{mix_id}|{json.dumps(body)}\n")
    stack.kcat("-P", "-t", "mix-requests", "-K|", typed="".join(lines))
    typed(stack, "after-the-bad", json.dumps(small(slow_case, "after-the-bad", lines=1)))
    stack.wait_for_end("after-the-bad")
    wait_until(lambda: rejections(stack).keys() >= kinds.keys(), "all are rejected")
    told = rejections(stack)
    for mix_id, kind in kinds.items():
        (rejected,) = told[mix_id]
        assert {(error["path"], error["code"]) for error in rejected["errors"]} == BAD[kind][1], kind


def rejections(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    """Every `mix-rejected` in the log, by mix."""
    told: dict[str, list[dict[str, Any]]] = {}
    for text in stack.kcat("-C", "-t", "mix-events", "-e", "-o", "beginning").splitlines():
        event = json.loads(text)
        if event["type"] == "mix-rejected":
            told.setdefault(event["mix_id"], []).append(event)
    return told


def test_what_is_no_json_object_goes_to_the_dead_letters_untouched(
    stack: Stack, slow_case: dict[str, Any]
) -> None:
    poison = ["not json", '{"a": NaN}', "[1, 2]", '"text"', '{"a":' * 101 + "1" + "}" * 101, "\x00\x01 \x7f"]
    for number, value in enumerate(poison):
        typed(stack, f"poison-{number}", value, "-H", f"mine=kept-{number}")
    typed(stack, "after-the-poison", json.dumps(small(slow_case, "after-the-poison", lines=1)))
    stack.wait_for_end("after-the-poison")
    told = stack.kcat("-C", "-t", "dead-letters", "-e", "-J")
    letters = {
        letter["key"]: letter
        for letter in map(json.loads, told.splitlines())
        if str(letter["key"]).startswith("poison-")
    }
    assert len(letters) == len(poison)
    for number, value in enumerate(poison):
        letter = letters[f"poison-{number}"]
        headers = dict(zip(letter["headers"][::2], letter["headers"][1::2], strict=True))
        assert letter["payload"] == value
        assert headers["mine"] == f"kept-{number}"
        assert headers["dlq.topic"] == "mix-requests"
        assert headers["dlq.group"] == "clipfold-intake"
        assert headers["dlq.error.class"] == "Poison"
        assert headers["dlq.error.stage"] == "decode"
        assert headers["dlq.error.message"]
        assert {"dlq.partition", "dlq.offset", "dlq.timestamp", "dlq.attempts"} <= headers.keys()


def test_a_structured_cloud_event_is_understood(stack: Stack) -> None:
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/somebody",
        "type": "clipfold.mix-request.v1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": request(line(0, 1000), mix_id="structured", profile={"width": 160, "height": 90}),
    }
    typed(stack, "structured", json.dumps(event))
    stack.wait_for_end("structured")
    assert {told["trace_id"] for told in stack.events("structured")} == {"0af7651916cd43dd8448eb211c80319c"}
