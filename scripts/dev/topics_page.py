"""docs/reference/topics.md: every topic, record, field and header, from the registry and the models."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from enum_values import meanings
from field_tables import field_table, table
from header_meanings import cloud_event_headers, dead_letter_headers
from kcat_commands import commands, introduction
from schema_files import record_models, record_type, schema_of

from topics.dead_letters import REDRIVEN
from topics.envelope import VERSION
from topics.events import MixRejected
from topics.reasons import FallbackReason, MixFailure
from topics.registry import CLIP_TASKS, DEAD_LETTERS, MIX_EVENTS, TOPICS, Topic

NOTE = "<!-- made by scripts/dev/generate_reference.py from the package topics/: do not edit -->"
ENUMS: tuple[type[StrEnum], ...] = (FallbackReason, MixFailure)


def topics_page(examples: Path) -> str:
    """The page, as it is committed; `examples` is the folder of the golden examples."""
    rejected = MixRejected.model_validate_json(example_of("mix-rejected", examples))
    return (
        "\n".join(
            [
                *(NOTE, "", "# Topics and records", ""),
                *_overview(),
                *introduction(),
                *(line for topic in TOPICS for line in _topic(topic)),
                *_headers(rejected),
                *(
                    line
                    for topic in TOPICS
                    for model in topic.models
                    for line in _record(model, topic, examples)
                ),
                *_shapes(),
                *(line for enum in ENUMS for line in _enum(enum)),
            ]
        )
        + "\n"
    )


def example_of(name: str, examples: Path) -> str:
    """The golden example of a record type: one line of JSON."""
    return (examples / f"{name}.{VERSION}.json").read_text(encoding="utf-8").rstrip("\n")


def _overview() -> Iterator[str]:
    rows = (
        (f"[`{topic.name}`](#{topic.name})", topic.key, str(topic.partitions), topic.holds)
        for topic in TOPICS
    )
    yield from table(("topic", "key", "partitions", "holds"), rows)
    yield ""


def _topic(topic: Topic) -> Iterator[str]:
    yield from ("", f"## {topic.name}", "", f"{topic.holds.capitalize()}.", "")
    records = ", ".join(
        f"[`{record_type(model)}`](#{record_type(model)}-{VERSION})" for model in topic.models
    )
    facts = (
        ("key", topic.key),
        ("kind", "compacted" if topic.cleanup_policy == "compact" else "a log that is never deleted from"),
        ("partitions", str(topic.partitions)),
        ("written by", ", ".join(topic.writers)),
        ("read by", ", ".join(topic.readers)),
        ("records", records or "whatever could not be used, as it was"),
        ("broker settings", ", ".join(f"`{name}={value}`" for name, value in topic.configs.items())),
    )
    yield from table(("", ""), facts)
    yield ""
    yield from commands(topic)


def _headers(rejected: MixRejected) -> Iterator[str]:
    yield from ("", "## Headers of events and tasks", "")
    yield f"Records of `{MIX_EVENTS.name}` and `{CLIP_TASKS.name}` are CloudEvents in binary mode: the value"
    yield "is plain JSON, and the attributes ride in headers. Requests are taken as bare JSON, and in both"
    yield "modes of CloudEvents; what they lack is made from topic, partition and offset."
    yield ""
    yield from cloud_event_headers(rejected)
    yield from ("", "## Headers of dead letters", "")
    yield f"A record of `{DEAD_LETTERS.name}` has the key, the bytes and the headers that it came with, and:"
    yield ""
    yield from dead_letter_headers(rejected)
    yield ""
    yield "`clipfold dlq redrive` sends such a record back to where it came from, with its own headers and"
    yield f"`{REDRIVEN}`, the letter's own place (`dead-letters/0/7`). It notes that in the quarantine, by a"
    yield "record with this header and no other of ours, whose value is the place that the other was sent to."


def _record(model: type[Any], topic: Topic, examples: Path) -> Iterator[str]:
    name = record_type(model)
    schema = schema_of(model)
    yield from ("", f"## {name} {VERSION}", "", schema["description"], "")
    unknown = "an error" if schema.get("additionalProperties") is False else "ignored"
    yield f"In [`{topic.name}`](#{topic.name}). Unknown fields are {unknown}."
    yield f"Schema: [`topics/schemas/{name}.{VERSION}.json`](../../topics/schemas/{name}.{VERSION}.json)."
    yield ""
    yield from field_table(schema)
    yield from ("", "```json", example_of(name, examples), "```")


def _shapes() -> Iterator[str]:
    """The objects inside records, each once."""
    shapes: dict[str, Any] = {}
    for model in record_models().values():
        shapes |= schema_of(model).get("$defs", {})
    yield from ("", "# Shapes inside records")
    for name in sorted(name for name, shape in shapes.items() if "properties" in shape):
        yield from ("", f"## {name}", "", shapes[name]["description"], "")
        yield from field_table(shapes[name])


def _enum(enum: type[StrEnum]) -> Iterator[str]:
    yield from ("", f"## {enum.__name__}", "", (enum.__doc__ or "").strip(), "")
    rows = ((f"`{value}`", meaning) for value, meaning in meanings(enum).items())
    yield from table(("value", "when"), rows)
