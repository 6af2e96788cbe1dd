"""The checker must fail on whatever would orphan records in the log, and on nothing else."""

from copy import deepcopy
from typing import Any

import pytest

from topics.compatibility import breaking_changes

OLD: dict[str, Any] = {
    "$defs": {
        "Reason": {"enum": ["a", "b"], "type": "string"},
        "Inner": {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 10}},
            "required": ["n"],
        },
    },
    "type": "object",
    "properties": {
        "type": {"const": "thing", "type": "string"},
        "name": {"type": "string", "maxLength": 64, "pattern": "^[a-z]+$"},
        "reason": {"$ref": "#/$defs/Reason"},
        "inner": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}], "default": None},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Inner"}},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "policy": {"type": "string", "default": "extend"},
    },
    "required": ["type", "name"],
}


def changed(*path: str, **values: Any) -> dict[str, Any]:
    """`OLD` with keywords set at a path; `None` takes a keyword away."""
    schema = deepcopy(OLD)
    part = schema
    for name in path:
        part = part[name]
    for name, value in values.items():
        if value is None:
            del part[name]
        else:
            part[name] = value
    return schema


BREAKING = {
    "/name: was removed": changed("properties", name=None),
    "/reason: is required now": changed(required=["type", "name", "reason"]),
    "/extra: is required now": changed("properties", extra={"type": "string"})
    | {"required": ["type", "name", "extra"]},
    "/name: was of type string, is integer now": changed("properties", "name", type="integer"),
    "/name: maxLength was 64, is 63 now": changed("properties", "name", maxLength=63),
    "/name: minLength was not set, is 1 now": changed("properties", "name", minLength=1),
    "/name: pattern was ^[a-z]+$, is ^[a-f]+$ now": changed("properties", "name", pattern="^[a-f]+$"),
    "/name: format was not set, is uri now": changed("properties", "name", format="uri"),
    "/reason: no longer takes ['b']": changed("$defs", "Reason", enum=["a", "c"]),
    "/policy: took any value, takes only ['extend'] now": changed("properties", "policy", enum=["extend"]),
    "/type: no longer takes ['thing']": changed("properties", "type", const="other"),
    "/inner/n: minimum was 0, is 1 now": changed("$defs", "Inner", "properties", "n", minimum=1),
    "/items/*/n: maximum was 10, is 9 now": changed("$defs", "Inner", "properties", "n", maximum=9),
    "/items: maxItems was not set, is 5 now": changed("properties", "items", maxItems=5),
    "/inner: was of type null, is object now": changed("properties", inner={"$ref": "#/$defs/Inner"}),
    "/counts/*: was of type integer, is string now": changed(
        "properties", "counts", additionalProperties={"type": "string"}
    ),
    ": refuses unknown fields now": changed(additionalProperties=False),
    "/policy: what is left out meant 'extend', now 'black'": changed("properties", "policy", default="black"),
}


@pytest.mark.parametrize("complaint", BREAKING)
def test_a_breaking_change_is_named(complaint: str) -> None:
    found = breaking_changes(OLD, BREAKING[complaint])
    assert any(change.startswith(complaint) for change in found), found


GROWING = {
    "nothing": OLD,
    "an optional field": changed("properties", extra={"type": "string", "default": "x"}),
    "no longer required": changed(required=["type"]),
    "a further value": changed("$defs", "Reason", enum=["a", "b", "c"]),
    "a wider bound": changed("$defs", "Inner", "properties", "n", maximum=11, minimum=-1),
    "a bound less": changed("$defs", "Inner", "properties", "n", maximum=None),
    "any text": changed("properties", "name", pattern=None, maxLength=None),
    "numbers where integers were": changed("$defs", "Inner", "properties", "n", type="number"),
    "null as well": changed("properties", reason={"anyOf": [{"$ref": "#/$defs/Reason"}, {"type": "null"}]}),
    "a renamed shape": changed("properties", items={"type": "array", "items": OLD["$defs"]["Inner"]}),
    "other words": changed(title="Thing", description="a thing") | {"$id": "urn:other"},
}


@pytest.mark.parametrize("what", GROWING)
def test_growing_is_fine(what: str) -> None:
    assert breaking_changes(OLD, GROWING[what]) == []


def test_closed_objects_may_open() -> None:
    closed = changed(additionalProperties=False)
    assert breaking_changes(closed, OLD) == []
    assert breaking_changes(closed, closed) == []


def test_every_breaking_change_is_found_at_once() -> None:
    new = changed("properties", name=None)
    new["required"] = ["type", "reason"]
    assert len(breaking_changes(OLD, new)) == 2
