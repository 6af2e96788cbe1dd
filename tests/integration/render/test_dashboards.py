"""Every query of every dashboard, asked of a Prometheus that scraped a worker and a `serve` at work."""

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pytest
from grafana_panels import Panel, Query, panels

from tests.fault_server import FaultServer
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import ROOT, Role, wait_until
from tests.prometheus import RULES, SCRAPE_INTERVAL_S, Prometheus, needs_prometheus, running_prometheus

pytestmark = needs_prometheus

MIX = "scraped"
RATE_S = 4 * SCRAPE_INTERVAL_S
"""What Grafana fills in for `$__rate_interval` at least."""


@dataclass(frozen=True)
class Scraped:
    """What Prometheus saw of a mix, from before it was asked for until after it had ended."""

    prometheus: Prometheus
    since: float
    until: float

    def answers(self, panel: Panel, query: Query) -> list[float]:
        """Every number that the panel would show."""
        promql = query.promql(range_s=int(self.until - self.since) + 1, rate_s=RATE_S)
        if panel.is_instant:
            found = self.prometheus.api("query", query=promql, time=self.until)["result"]
            return [float(series["value"][1]) for series in found]
        found = self.prometheus.over(promql, self.since, self.until)
        return [float(value) for series in found for _, value in series["values"]]


def serve_address(serve: Role) -> str:
    started = [line for line in serve.lines() if line["event"] == "serve.started"][-1]
    return "{}:{}".format(*started["address"])


def metrics_address(worker: Role) -> str:
    started = [line for line in worker.lines() if line["event"] == "render_worker.started"][-1]
    return f"127.0.0.1:{started['metrics_port']}"


def request(server: FaultServer) -> dict[str, Any]:
    """Lines that show a fetched source, a local one, and two kinds of placeholder."""

    def candidate(uri: str) -> dict[str, Any]:
        return {"video_id": uri, "uri": uri, "start_ms": 5000}

    sources: list[list[dict[str, Any]]] = [
        [candidate(server.url("/neon-grid.mp4"))],
        [candidate(server.url("/nowhere.mp4")), candidate("media/samples/neon-grid.mp4")],
        [candidate("media/samples/nowhere.mp4")],
        [],
    ]
    return {
        "mix_id": MIX,
        "profile": {"width": 320, "height": 176, "fps": "30", "quality": "draft"},
        "lines": [
            {"text": "", "start_ms": 1000 * n, "end_ms": 1000 * n + 1000, "candidates": each}
            for n, each in enumerate(sources)
        ],
    }


@pytest.fixture(scope="module")
def scraped(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    assert stack.serve is not None
    worker, serve = metrics_address(stack.worker), serve_address(stack.serve)
    targets = {"clipfold-worker": [worker], "clipfold-serve": [serve]}
    folder = tmp_path_factory.mktemp("prometheus")
    with FaultServer(ROOT / "media/samples").in_thread() as server, running_prometheus(targets, folder) as it:
        wait_until(lambda: len(it.instant("up == 1")) == len(targets), "both are scraped")
        since = time.time()

        def wait_for_two_scrapes_more() -> None:
            scrapes = f"sum(count_over_time(up[{int(time.time() - since) + 60}s]))"
            seen = float(it.instant(scrapes)[0]["value"][1])
            enough = seen + 2 * len(targets)
            wait_until(lambda: float(it.instant(scrapes)[0]["value"][1]) >= enough, "two scrapes more")

        # What grows before the first scrape of the time shown does not count as growth.
        wait_for_two_scrapes_more()
        ended = 'sum(render_mixes_ended_total{result="mix-rendered"})'
        before = float(it.instant(ended)[0]["value"][1])
        stack.submit(request(server))
        with urllib.request.urlopen(f"http://{serve}/api/v1/mixes", timeout=30) as listed:
            assert listed.status == 200
        stack.wait_for_end(MIX)
        wait_until(lambda: float(it.instant(ended)[0]["value"][1]) > before, "its end is scraped")
        wait_for_two_scrapes_more()
        yield Scraped(it, since, time.time())


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel.slug)
def test_every_query_of_a_panel_gives_numbers(scraped: Scraped, panel: Panel) -> None:
    for query in panel.queries:
        answers = scraped.answers(panel, query)
        assert any(isfinite(answer) for answer in answers), f"{query.expr}: {answers[:5]}"


def test_rules_are_well_and_their_figures_are_there(scraped: Scraped) -> None:
    groups = scraped.prometheus.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert recorded
    for name in recorded:
        assert scraped.prometheus.over(name, scraped.since, scraped.until), f"{name} of {RULES.name}"


def test_what_a_healthy_run_shows_is_no_alert(scraped: Scraped) -> None:
    """Not even a pending one, but for the disk of whoever runs this."""
    alerts = scraped.prometheus.api("alerts")["alerts"]
    assert {alert["labels"]["alertname"] for alert in alerts} <= {"ClipfoldDiskNearlyFull"}
