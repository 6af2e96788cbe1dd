"""Tables of fields in Markdown, from the JSON Schema of a record."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---' for _ in head)}|"
    for row in rows:
        cells = (cell.replace("|", r"\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def field_table(schema: Schema) -> Iterator[str]:
    """One row for each field: its name, type and limits, whether it must be there, and what it means."""
    required = schema.get("required", ())
    rows = (
        (f"`{name}`", type_of(field), _presence(name, field, required), meaning_of(field))
        for name, field in schema["properties"].items()
    )
    yield from table(("field", "type", "required", "meaning"), rows)


def meaning_of(field: Schema) -> str:
    """The description of a field, or of the one alternative that has any."""
    if "const" in field and "description" not in field:
        return "the record type"
    described = (branch.get("description", "") for branch in field.get("anyOf", ()))
    return field.get("description") or next(filter(None, described), "")


def type_of(field: Schema) -> str:
    """The type of a field with its limits, in words; shapes and sets of values are links."""
    if "anyOf" in field:
        return " or ".join(type_of(branch) for branch in field["anyOf"])
    if "$ref" in field:
        name = field["$ref"].removeprefix("#/$defs/")
        return f"[{name}](#{name.lower()})"
    if values := [field["const"]] if "const" in field else field.get("enum"):
        return " or ".join(f"`{json.dumps(value)}`" for value in values)
    if field["type"] == "array":
        return f"array of {type_of(field['items'])}{_limits(field, 'Items', ' items')}"
    if field["type"] == "object":
        return f"object of {type_of(field['additionalProperties'])}"
    return f"{field['type']}{_range(field)}{_limits(field, 'Length', ' characters')}{_pattern(field)}"


def _presence(name: str, field: Schema, required: Iterable[str]) -> str:
    if name in required:
        return "yes"
    default = field.get("default")
    return "no" if default is None else f"no: `{json.dumps(default, ensure_ascii=False)}`"


def _range(field: Schema) -> str:
    return _between(field.get("minimum"), field.get("maximum"), "")


def _limits(field: Schema, what: str, unit: str) -> str:
    return _between(field.get(f"min{what}"), field.get(f"max{what}"), unit)


def _between(least: int | None, most: int | None, unit: str) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f", at least {least}{unit}"
    return f", at most {most}{unit}" if least is None else f", {least} to {most}{unit}"


def _pattern(field: Schema) -> str:
    return f", `{field['pattern']}`" if "pattern" in field else ""
