"""JSON Schemas of every record type, from the models that read them."""

import json
from typing import Any

from pydantic import BaseModel

from topics.envelope import VERSION
from topics.events import MixEvent
from topics.registry import TOPICS
from topics.tasks import ClipTask

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMELESS = {"RenderClipConfig": "render-config"}
"""Models of records without a `type`: their topic holds nothing else."""


def record_models() -> dict[str, type[BaseModel]]:
    """Every record type that the registry knows, by its name on the wire."""
    return {record_type(model): model for topic in TOPICS for model in topic.models}


def record_type(model: type[BaseModel]) -> str:
    """The name that records of `model` go by."""
    if model.__name__ in NAMELESS:
        return NAMELESS[model.__name__]
    [name] = model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    return str(name)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """What a reader accepts as a record of `model`, as JSON Schema 2020-12.

    It is the reader's side, because optional additions must leave old records valid.
    """
    name = record_type(model)
    schema = model.model_json_schema(mode="validation")
    head = {"$schema": DIALECT, "$id": f"urn:clipfold:{name}:{VERSION}", "title": f"{name} {VERSION}"}
    schema = head | {key: value for key, value in schema.items() if key != "title"}
    if issubclass(model, MixEvent):
        # Readers tell the events of one topic apart by it.
        schema["required"] = ["type", *schema["required"]]
    if issubclass(model, MixEvent | ClipTask):
        _let_readers_ignore(schema)
    for part in (schema, *schema.get("$defs", {}).values()):
        _drop_titles(part)
    return schema


def schema_file(model: type[BaseModel]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema_of(model), indent=2, ensure_ascii=False) + "\n"


def _let_readers_ignore(schema: dict[str, Any]) -> None:
    """Only requests refuse unknown fields; a reader of events and tasks ignores them at every level."""
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("additionalProperties") is False:
            del part["additionalProperties"]


def _drop_titles(part: dict[str, Any]) -> None:
    """Pydantic's titles of fields only say their names again."""
    for field in part.get("properties", {}).values():
        field.pop("title", None)
