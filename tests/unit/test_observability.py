from math import isnan
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import REGISTRY

from stream_app.domain.intake import Result
from stream_app.telemetry import metrics
from topics.reasons import FallbackReason

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
        *("method", "route", "status", "part"),
    }


def test_the_disk_of_a_folder_that_is_not_there_yet_is_measured(tmp_path: Path) -> None:
    metrics.watch_disk(tmp_path / "not" / "yet")
    free, size = (REGISTRY.get_sample_value(f"render_disk_{name}_bytes") for name in ("free", "size"))
    assert free is not None
    assert size is not None
    assert 0 < free <= size


def test_a_disk_that_cannot_be_asked_is_not_taken_for_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Path) -> None:
        raise OSError

    monkeypatch.setattr("shutil.disk_usage", gone)
    metrics.watch_disk(tmp_path)
    free = REGISTRY.get_sample_value("render_disk_free_bytes")
    assert free is not None
    assert isnan(free)


def test_counters_are_there_before_their_first_increase() -> None:
    """Prometheus sees no increase in a series that is first seen at 1."""
    for reason in FallbackReason:
        for name in ("render_clip_failures_total", "render_clip_placeholder_total"):
            assert REGISTRY.get_sample_value(name, {"reason": reason}) is not None
    for result in get_args(Result):
        assert REGISTRY.get_sample_value("render_requests_total", {"result": result}) is not None
