"""Whether today's schema of a record still reads every record that was ever written.

The log is kept for ever, so a schema may only grow: additions are optional, nothing is removed, nothing is
narrowed. Whatever needs more than that is a new version of its type, with an upcaster where it is read.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "title", "description", "examples"})
"""What says nothing about which values fit."""

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_COMPARED = frozenset(
    {
        *("type", "const", "enum", "anyOf", "default", "items"),
        *("properties", "required", "additionalProperties"),
        *_LOWER_BOUNDS,
        *_UPPER_BOUNDS,
    }
)


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Everything by which `new` refuses, or reads otherwise, what `old` allowed; empty when it only grew.

    Both are JSON Schemas as pydantic writes them. Each entry begins with the JSON Pointer of the field;
    `*` stands for every item of an array or value of an object. What cannot be judged counts as breaking.
    """
    return list(_Comparison(old, new).of("", old, new))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Compares parts of two schemas; the roots are where their `$ref`s point into."""

    old_root: Schema
    new_root: Schema

    def of(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        old, new = _resolved(old, self.old_root), _resolved(new, self.new_root)
        if old.get("default") != new.get("default"):
            yield f"{path}: what is left out meant {old.get('default')!r}, now {new.get('default')!r}"
        if "anyOf" in old or "anyOf" in new:
            yield from self._branches(path, old, new)
            return
        yield from _types(path, old, new)
        yield from _values(path, old, new)
        yield from _bounds(path, old, new, _LOWER_BOUNDS, lambda before, now: now > before)
        yield from _bounds(path, old, new, _UPPER_BOUNDS, lambda before, now: now < before)
        yield from _unjudged(path, old, new)
        yield from self._parts(path, old, new)

    def _branches(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        """Each alternative of before must be covered by one of now; the nearest one says what is amiss."""
        for before in old.get("anyOf", [_without_default(old)]):
            attempts = [list(self.of(path, before, now)) for now in new.get("anyOf", [_without_default(new)])]
            yield from min(attempts, key=len)

    def _parts(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        yield from self._fields(path, old, new)
        if "items" in new:
            yield from self.of(f"{path}/*", old.get("items", {}), new["items"])
        yield from self._other_fields(path, old, new)

    def _fields(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before, now = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in now:
                yield f"{path}/{name}: was removed"
            else:
                yield from self.of(f"{path}/{name}", before[name], now[name])
        for name in new.get("required", ()):
            if name not in old.get("required", ()):
                yield f"{path}/{name}: is required now; records without it are in the log"

    def _other_fields(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before, now = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if now is False and before is not False:
            yield f"{path}: refuses unknown fields now"
        if isinstance(now, Mapping) and before is not False:
            yield from self.of(f"{path}/*", before if isinstance(before, Mapping) else {}, now)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema itself in place of a `$ref` to it; what stands beside the `$ref` holds as well."""
    while "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _without_default(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "default"}


def _types(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, now = old.get("type"), new.get("type")
    widened = (before, now) == ("integer", "number")
    if now is not None and now != before and not widened:
        yield f"{path}: was of type {before or 'any'}, is {now} now"


def _values(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, now = _allowed(old), _allowed(new)
    if now is None:
        return
    if before is None:
        yield f"{path}: took any value, takes only {now} now"
        return
    gone = [value for value in before if value not in now]
    if gone:
        yield f"{path}: no longer takes {gone}"


def _allowed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _bounds(
    path: str, old: Schema, new: Schema, names: tuple[str, ...], tighter: Callable[[Any, Any], bool]
) -> Iterator[str]:
    for name in names:
        if name in new and (name not in old or tighter(old[name], new[name])):
            yield f"{path}: {name} was {old.get(name, 'not set')}, is {new[name]} now"


def _unjudged(path: str, old: Schema, new: Schema) -> Iterator[str]:
    """Patterns, formats and whatever else: they may go, but any other change may be a narrowing."""
    for name, value in new.items():
        if name not in ANNOTATIONS | _COMPARED and old.get(name) != value:
            yield f"{path}: {name} was {old.get(name, 'not set')}, is {value} now"
