from pathlib import Path

from prometheus_client import REGISTRY

from stream_app.telemetry import metrics

PAGE = Path(__file__).parents[2] / "observability" / "README.md"
SUFFIX = {"counter": "_total", "info": "_info"}


def test_every_metric_is_on_the_page_that_operators_read() -> None:
    assert metrics.BUILD
    ours = [family for family in REGISTRY.collect() if family.name.startswith("render_")]
    assert len(ours) >= 15
    page = PAGE.read_text(encoding="utf-8")
    missing = [family.name for family in ours if f"`{family.name}{SUFFIX.get(family.type, '')}" not in page]
    assert missing == []


def test_no_metric_has_a_label_that_grows_without_end() -> None:
    labels = {
        label
        for family in REGISTRY.collect()
        if family.name.startswith("render_")
        for sample in family.samples
        for label in sample.labels
    }
    assert labels <= {
        *("worker", "reason", "group", "topic", "result", "le", "version"),
        *("method", "route", "status"),
    }
