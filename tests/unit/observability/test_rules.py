"""The rules of Prometheus, as its own tool judges them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus import RULES, needs_prometheus

ROOT = RULES.parents[2]
STORIES = RULES.with_name("clipfold.rules.test.yml")
RUNBOOK = ROOT / "docs/observability/runbook.md"


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@needs_prometheus
@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", RULES.name],
        ["test", "rules", STORIES.name],
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(command: list[str]) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_shown_to_fire_and_not_to() -> None:
    told: dict[str, set[bool]] = {alert["alert"]: set() for alert in alerts()}
    for story in yaml.safe_load(STORIES.read_text())["tests"]:
        for moment in story["alert_rule_test"]:
            told[moment["alertname"]].add(bool(moment["exp_alerts"]))
    assert told
    assert {name: seen for name, seen in told.items() if seen != {True, False}} == {}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    headings = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert headings == {alert["alert"] for alert in alerts()}
    for alert in alerts():
        assert "for" in alert
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"]["summary"]
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert ROOT / page == RUNBOOK
        assert anchor == alert["alert"].lower()


def test_the_example_scrapes_the_jobs_that_rules_and_dashboards_name() -> None:
    config = yaml.safe_load(RULES.with_name("prometheus.yml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert jobs == {"clipfold-worker", "clipfold-serve"}
    queries = [RULES, *Path(ROOT / "observability/grafana").glob("*.json")]
    named = {job for file in queries for job in re.findall(r'job=\\?"([\w-]+)', file.read_text())}
    assert named == jobs
