"""docs/reference/data-flow.md: who writes and who reads which topic, drawn from the registry."""

from collections.abc import Iterator

from topics.registry import TOPICS

NOTE = "<!-- made by scripts/dev/generate_reference.py from topics/registry.py: do not edit -->"


def flow_page() -> str:
    """The page, as it is committed."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (NOTE, "", "# Data flow", "")
    yield "Every arrow is a role that writes to, or reads from, a topic of Kafka."
    yield "All that roles tell one another goes this way; beside it there are only files and HTTP answers."
    yield from ("", "```mermaid", "flowchart LR")
    yield from (f'    {_node(topic.name)}[("{topic.name}")]' for topic in TOPICS)
    yield from (f'    {_node(role)}["{role}"]' for role in _roles())
    for topic in TOPICS:
        yield from (f"    {_node(role)} --> {_node(topic.name)}" for role in topic.writers)
        yield from (f"    {_node(topic.name)} --> {_node(role)}" for role in topic.readers)
    yield "```"


def _roles() -> list[str]:
    """Every role once, in the order in which the registry first names it."""
    return list(dict.fromkeys(role for topic in TOPICS for role in (*topic.writers, *topic.readers)))


def _node(name: str) -> str:
    return name.replace("-", "_").replace(" ", "_")
