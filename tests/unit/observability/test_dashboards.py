"""The dashboards as files; what their queries give is shown where a worker runs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_panels import DASHBOARDS, Panel, panels
from prometheus_client import REGISTRY

from stream_app.telemetry import metrics

FILES = sorted(DASHBOARDS.glob("*.json"))
PAGE = DASHBOARDS.parents[1] / "docs/observability/render_dashboard.md"
WIDTH = 24
UNITS = {"short", "ms", "bytes", "Bps", "ops", "reqps", "cpm", "percentunit"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
MAX_IMAGE_BYTES = 100_000


def read(file: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(file.read_text())
    return board


def names_of_metrics() -> set[str]:
    """As Prometheus knows them: a metric with labels has no sample before its first use."""
    assert metrics.BUILD
    return {"up"} | {
        family.name + suffix for family in REGISTRY.collect() for suffix in SUFFIXES.get(family.type, ("",))
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_can_be_imported_anywhere(file: Path) -> None:
    board = read(file)
    assert board["schemaVersion"] >= 36
    assert board["uid"] == file.stem or file.stem.startswith(board["uid"])
    assert "id" not in board  # of somebody's database
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert source == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_panel_lies_on_another_or_beside_the_grid(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(file)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert all(x < WIDTH for x, _ in cells)
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel.slug)
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: Panel) -> None:
    assert panel.unit in UNITS
    assert panel.description.endswith(".")
    assert panel.queries
    assert all(query.legend for query in panel.queries)
    for query in panel.queries:
        named = set(re.findall(r"\b(?:render_\w+|up)\b", query.expr))
        assert named
        assert named <= names_of_metrics()


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel.slug)
def test_a_panel_is_explained_with_its_picture(panel: Panel) -> None:
    page = PAGE.read_text()
    assert f"\n### {panel.title}\n" in page
    assert f"](img/{panel.slug}.svg)" in page
    assert 0 < (PAGE.parent / "img" / f"{panel.slug}.svg").stat().st_size < MAX_IMAGE_BYTES
