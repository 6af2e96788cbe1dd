"""What ships the logs, and what finds things in them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
LOGS = ROOT / "observability/logs"
README = ROOT / "observability/README.md"
PAGE = ROOT / "docs/observability/logs.md"
LABELS = {"app", "role", "level"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def test_promtail_sets_few_labels_and_reads_the_time_that_lines_carry() -> None:
    config = yaml.safe_load((LOGS / "promtail.yml").read_text())
    (job,) = config["scrape_configs"]
    static = {label for each in job["static_configs"] for label in each["labels"]} - {"__path__"}
    stages = {name: stage for each in job["pipeline_stages"] for name, stage in each.items()}
    assert static | stages["labels"].keys() == LABELS
    assert stages["labels"].keys() | {stages["timestamp"]["source"]} == stages["json"]["expressions"].keys()
    assert stages["timestamp"]["format"] == "RFC3339Nano"


def test_alloy_does_the_same() -> None:
    text = re.sub(r"//.*", "", (LOGS / "config.alloy").read_text().replace("://", ":"))
    assert [text.count(mark) for mark in "{[("] == [text.count(mark) for mark in "}])"]
    targets = re.findall(r"\{ (__path__ .*?) \}", text)
    static = {label for target in targets for label in re.findall(r"(\w+) = ", target)} - {"__path__"}
    (labels,) = re.findall(r"stage\.labels \{\s*values = \{ (.*?) \}", text)
    assert static | set(re.findall(r"(\w+) =", labels)) == LABELS
    parts = set(re.findall(r'^([a-z_.]+) "(\w+)" \{', text, re.MULTILINE))
    named = set(re.findall(r"\b(local\.file_match|loki\.\w+)\.(\w+)\.(?:targets|receiver)", text))
    assert named <= parts
    assert 'format = "RFC3339Nano"' in text


def events_in_code() -> Iterator[str]:
    """What is said at level info or above, by name."""
    for folder in ("stream_app", "projections"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and _is_said(node.func):
                    yield from _names(node.args[0])


def _is_said(function: ast.expr) -> bool:
    if isinstance(function, ast.IfExp):
        return _is_said(function.body) or _is_said(function.orelse)
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id == "log"
    )


def _names(event: ast.expr) -> Iterator[str]:
    if isinstance(event, ast.Constant):
        yield str(event.value)
    else:  # one of the names that differ in their end
        assert ast.unparse(event) == "f'twelvelabs.{name}'"
        yield from ("twelvelabs.retrieve_exception", "twelvelabs.cut_exception")


def events_on_page() -> set[str]:
    _, _, table = README.read_text().partition("| event | says |")
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(.*?)`", cell)}


def test_every_event_is_on_the_page_that_operators_read() -> None:
    said = set(events_in_code())
    assert len(said) > 30
    assert sorted(said - events_on_page()) == []
    assert sorted(events_on_page() - said) == []


def test_queries_look_for_events_that_are_said_and_labels_that_are_set() -> None:
    queries = re.findall(r"```logql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(queries) >= 8
    for query in queries:
        (selector,) = re.findall(r"\{(.*?)\}", query.split("|")[0])
        assert set(re.findall(r'(\w+)="', selector)) <= LABELS
        sought = re.findall(r'\|= "([\w]+\.[\w.]+)"', query)
        assert set(sought) <= events_on_page()
