"""Records that could not be used: found, looked at, and sent back as they were."""

import json
from typing import Any

from tests.integration.render.conftest import Stack
from tests.integration.render.roles import wait_until


def letters(stack: Stack) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(
        stack.clipfold("dlq", "list", "--json", "--topic", "mix-requests")
    )
    return listed


def test_a_letter_is_listed_shown_and_sent_back(stack: Stack) -> None:
    typed = "no json, typed by hand"
    stack.kcat("-P", "-t", "mix-requests", "-k", "hand", "-H", "who=ann", "-H", "empty", typed=typed)
    wait_until(lambda: bool(letters(stack)), "it is put aside", poll_s=1)
    before = letters(stack)
    number, origin = before[0]["letter"], before[0]["from"]
    shown = json.loads(stack.clipfold("dlq", "show", str(number), "--json"))
    assert (shown["key"], shown["value"], shown["from"]) == ("hand", typed, origin)
    assert (shown["headers"]["who"], shown["headers"]["empty"]) == ("ann", None)
    assert "not JSON" in shown["error"]

    (sent,) = json.loads(stack.clipfold("dlq", "redrive", str(number), "--yes", "--json"))
    assert sent["letter"] == number
    assert sent["sent_to"].rpartition("/")[0] == origin.rpartition("/")[0]
    # It is as bad as before, and comes back as a letter of its own.
    wait_until(lambda: len(letters(stack)) > len(before), "it is put aside again", poll_s=1)
    again, *others = letters(stack)
    assert (again["from"], again["redriven"]) == (sent["sent_to"], None)
    assert others[0] == before[0] | {"redriven": sent["sent_to"]}
    code, said = stack.clipfold_status("dlq", "redrive", str(number), "--yes")
    assert (code, "was sent back before" in said) == (2, True)


def test_wrong_use_is_told(stack: Stack) -> None:
    assert stack.clipfold_status("dlq", "redrive")[0] == 2
    code, said = stack.clipfold_status("dlq", "show", "123456")
    assert (code, "there is no dead letter 123456" in said) == (2, True)
