"""Draw every panel of the dashboards from what a Prometheus has, as SVG.

    python scripts/observability/draw_panels.py --prometheus http://127.0.0.1:9090 --minutes 5 [--out FOLDER]

The pictures of docs/observability/render_dashboard.md are made so, of a run that the page describes.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, isfinite, log2
from pathlib import Path
from typing import Any

import matplotlib as mpl
from grafana_panels import Panel, panels
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

OUT = Path(__file__).resolve().parents[2] / "docs/observability/img"
COLOURS = ("#3274d9", "#e0752d", "#2f9e44", "#c4162a", "#8f3bb8", "#a07800", "#0b8a8a", "#6c757d")
SIZE_IN = (7.2, 2.7)
FIGURES_SIZE_IN = (7.2, 1.3)
MAX_POINTS = 240
TIMEOUT_S = 30
SUFFIXES = {"percentunit": " %", "cpm": "/min", "ops": "/s", "reqps": "/s", "short": ""}
BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Window:
    """The time to draw, in seconds since 1970, and what lies between two points of it."""

    since: float
    until: float
    rate_s: int

    @property
    def range_s(self) -> int:
        """Its length."""
        return ceil(self.until - self.since)

    @property
    def step_s(self) -> int:
        """Between two points."""
        return max(1, ceil(self.range_s / MAX_POINTS))


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel."""

    name: str
    times: list[datetime]
    values: list[float]


def main() -> int:
    """Draw; returns the exit code."""
    parser = argparse.ArgumentParser(description="Draws the panels of the dashboards.")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its address")
    parser.add_argument("--minutes", type=float, default=5, help="time to draw, up to --until")
    parser.add_argument("--until", type=float, default=time.time(), help="seconds since 1970; default: now")
    parser.add_argument("--rate-interval", type=int, default=15, help="seconds, for $__rate_interval")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    options = parser.parse_args()
    window = Window(options.until - 60 * options.minutes, options.until, options.rate_interval)
    # Text stays text, which is small and can be searched; the same data gives the same bytes.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "clipfold", "font.family": "sans-serif"})
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        for panel in panels():
            found = _ask(options.prometheus, panel, window)
            _draw(panel, found, window, options.out / f"{panel.slug}.svg")
    except urllib.error.URLError as error:
        print(f"{options.prometheus} does not answer: {error}; is Prometheus running?", file=sys.stderr)
        return 3
    return 0


def _ask(address: str, panel: Panel, window: Window) -> list[Series]:
    found = []
    for query in panel.queries:
        promql = query.promql(range_s=window.range_s, rate_s=window.rate_s)
        if panel.is_instant:
            answer = _get(address, "query", query=promql, time=window.until)
        else:
            span = {"start": window.since, "end": window.until, "step": window.step_s}
            answer = _get(address, "query_range", query=promql, **span)
        for series in answer:
            points = series.get("values") or [series["value"]]
            found.append(
                Series(
                    query.name_of(series["metric"]),
                    [datetime.fromtimestamp(at, UTC) for at, _ in points],
                    [float(value) for _, value in points],
                )
            )
    return found


def _get(address: str, path: str, **arguments: str | float) -> list[dict[str, Any]]:
    url = f"{address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the user's own address
        results: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return results


def _draw(panel: Panel, found: list[Series], window: Window, file: Path) -> None:
    size = FIGURES_SIZE_IN if panel.kind == "stat" else SIZE_IN
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    axes.set_title(panel.title, loc="left", fontsize=11, fontweight="bold")
    if not found:
        axes.text(0.5, 0.5, "nothing in this time", ha="center", va="center", color="#888888")
        axes.set_axis_off()
    elif panel.kind == "stat":
        _draw_figures(axes, panel, found)
    elif panel.kind == "bargauge":
        _draw_bars(axes, panel, found)
    else:
        _draw_lines(axes, panel, found)
        axes.set_xlim(*(datetime.fromtimestamp(at, UTC) for at in (window.since, window.until)))
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
    print(f"{file} {file.stat().st_size // 1000} KB, {len(found)} series")


def _draw_lines(axes: Axes, panel: Panel, found: list[Series]) -> None:
    found = sorted(found, key=lambda series: series.name)
    if panel.is_stacked:
        _stack(axes, found)
    else:
        for colour, series in zip(_colours(found), found, strict=True):
            axes.plot(series.times, series.values, color=colour, linewidth=1.6, label=series.name)
    highest = max((value for series in found for value in series.values if isfinite(value)), default=0)
    # A line of zeros lies at the bottom, not in the middle; a share is one of the whole.
    axes.set_ylim(0, 1 if panel.unit == "percentunit" or not highest else None)
    axes.yaxis.set_major_locator(_ticks(panel.unit, highest))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _text(value, panel.unit)))
    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, frameon=False)


def _stack(axes: Axes, found: list[Series]) -> None:
    moments = sorted({moment for series in found for moment in series.times})
    rows = []
    for series in found:
        known = dict(zip(series.times, series.values, strict=True))
        rows.append([known.get(moment, 0.0) for moment in moments])
    names = [series.name for series in found]
    axes.stackplot(moments, *rows, labels=names, colors=_colours(found), alpha=0.75, linewidth=0)


def _draw_bars(axes: Axes, panel: Panel, found: list[Series]) -> None:
    found = sorted(found, key=lambda series: (series.values[-1], series.name))
    values = [series.values[-1] for series in found]
    bars = axes.barh([series.name for series in found], values, color=COLOURS[0], height=0.6)
    axes.bar_label(bars, [_text(value, panel.unit) for value in values], padding=4, fontsize=9)
    axes.set_xlim(0, max(*values, 1) * 1.15)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(labelsize=9, length=0)


def _draw_figures(axes: Axes, panel: Panel, found: list[Series]) -> None:
    for number, series in enumerate(found):
        x = (number + 0.5) / len(found)
        value = _text(series.values[-1], panel.unit)
        axes.text(x, 0.6, value, ha="center", va="center", fontsize=24, color=COLOURS[2])
        axes.text(x, 0.05, series.name, ha="center", va="center", fontsize=10, color="#555555")
    axes.set_axis_off()


def _colours(found: list[Series]) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(len(found))]


def _ticks(unit: str, highest: float) -> Locator:
    """Round figures of the unit that is written."""
    if unit not in ("bytes", "Bps"):
        return MaxNLocator(5, integer=unit == "short")
    quarter = max(highest, 1) / 4
    return MultipleLocator(2 ** round(log2(quarter)))


def _text(value: float, unit: str) -> str:
    if not isfinite(value):
        return "-"
    if unit in ("bytes", "Bps"):
        step = min(int(log2(value) // 10), len(BYTES) - 1) if value >= 1 else 0
        return f"{value / 2 ** (10 * step):.4g} {BYTES[step]}" + ("/s" if unit == "Bps" else "")
    if unit == "ms":
        return f"{value / 1000:.4g} s" if value >= 1000 else f"{value:.4g} ms"  # noqa: PLR2004 - a second
    return f"{value * (100 if unit == 'percentunit' else 1):.4g}{SUFFIXES[unit]}"


if __name__ == "__main__":
    sys.exit(main())
