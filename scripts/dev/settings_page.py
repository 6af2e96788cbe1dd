"""docs/reference/settings.md and .env.example, from the model that reads the settings."""

import os
import types
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from field_tables import table
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from stream_app.settings import Settings, variable_of

NOTE = "made by scripts/dev/generate_reference.py from stream_app/settings.py: do not edit"
WORDS = {
    Path: "path",
    SecretStr: "text, kept out of logs",
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    IPv4Network: "IPv4",
    IPv6Network: "IPv6 network",
}


def settings_page() -> str:
    """The page, as it is committed."""
    rows = (
        (
            f"`{variable_of(name)}`",
            _type(field),
            f"`{_default(field)}`" if _default(field) else "",
            _meaning(field),
        )
        for name, field in Settings.model_fields.items()
    )
    lines = [
        *(f"<!-- {NOTE} -->", "", "# Settings", ""),
        "Read from the environment, then from `.env` in the working directory; empty counts as unset.",
        "They hold for the life of a process. What changes while it runs is the",
        "[render config](topics.md#render-config).",
        "",
        *table(("variable", "type", "default", "meaning"), rows),
    ]
    return "\n".join(lines) + "\n"


def env_example() -> str:
    """`.env.example`: every setting commented out, at its default, with its meaning above it."""
    lines = [f"# {NOTE}", "# Copy to .env, and take the # off what you want to set."]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {_meaning(field)}", f"#{variable_of(name)}={_default(field)}"]
    return "\n".join(lines) + "\n"


def _meaning(field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"say what this setting means, in its description: {field!r}")
    return field.description


def _default(field: FieldInfo) -> str:
    """The default as one types it; empty when there is none, or when it depends on the machine."""
    match field.default if field.default_factory is None else None:
        case None:
            return ""
        case bool(flag):
            return str(flag).lower()
        case SecretStr():
            return ""
        case tuple(parts):
            return os.pathsep.join(map(str, parts))
        case value:
            return str(value)


def _type(field: FieldInfo) -> str:
    return _in_words(field.annotation) + _limits(field.metadata)


def _in_words(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(part) for part in inside if part is not types.NoneType)
    if origin is tuple:
        return f"list of {_in_words(inside[0])}s"
    return WORDS[annotation]


def _limits(metadata: Iterable[object]) -> str:
    return "".join(_limit(part) for part in metadata)


def _limit(part: object) -> str:
    least, most = getattr(part, "ge", None), getattr(part, "le", None)
    return f", at least {least}" if least is not None else f", at most {most}" if most is not None else ""
