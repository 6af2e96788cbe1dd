"""The panels of `observability/grafana`, as whoever asks Prometheus in Grafana's place needs them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).resolve().parents[2] / "observability/grafana"


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel: PromQL, and the name of its series, with `{{label}}` to be filled in."""

    expr: str
    legend: str

    def promql(self, *, range_s: int, rate_s: int) -> str:
        """The expression with Grafana's variables filled in, both in seconds."""
        return self.expr.replace("$__rate_interval", f"{rate_s}s").replace("$__range", f"{range_s}s")

    def name_of(self, labels: dict[str, str]) -> str:
        """The legend of the series with these labels."""
        return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), self.legend)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `kind` is Grafana's `type`."""

    dashboard: str
    title: str
    description: str
    kind: str
    unit: str
    is_stacked: bool
    queries: tuple[Query, ...]

    @property
    def slug(self) -> str:
        """A name for files."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")

    @property
    def is_instant(self) -> bool:
        """Whether only its last value is shown."""
        return self.kind != "timeseries"


def panels() -> Iterator[Panel]:
    """Every panel of every dashboard, in their order; rows are none."""
    for file in sorted(DASHBOARDS.glob("*.json"), reverse=True):
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] != "row":
                yield _panel(file.stem, panel)


def _panel(dashboard: str, panel: dict[str, Any]) -> Panel:
    defaults = panel["fieldConfig"]["defaults"]
    return Panel(
        dashboard=dashboard,
        title=panel["title"],
        description=panel["description"],
        kind=panel["type"],
        unit=defaults["unit"],
        is_stacked=defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal",
        queries=tuple(Query(target["expr"], target["legendFormat"]) for target in panel["targets"]),
    )
