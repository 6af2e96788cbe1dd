"""What a running API says of itself, and what it never says."""

from typing import Any

import httpx

from tests.contract.api.client import MIXES, Stack, bare
from tests.integration.render.roles import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines_of(stack: Stack, trace: str) -> list[dict[str, Any]]:
    return [line for line in stack.serve.lines() if line["trace_id"] == trace]


def test_one_line_for_each_request_without_its_query_or_its_ids(stack: Stack, client: httpx.Client) -> None:
    client.get(
        f"{MIXES}/nobody-knows-me?token=hunter2",
        headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "Authorization": "Bearer hunter3"},
    )
    wait_until(lambda: bool(lines_of(stack, TRACE)), "it is logged", 30)
    (line,) = lines_of(stack, TRACE)
    assert (line["event"], line["method"], line["status"]) == ("api.request", "GET", 404)
    assert line["route"] == "/api/v1/mixes/{mix_id}"
    assert line["duration_ms"] >= 0
    log = stack.serve.log.read_text()
    assert "hunter" not in log
    assert "nobody-knows-me" not in log


def test_requests_are_counted_by_route_and_status(client: httpx.Client) -> None:
    client.get(f"{MIXES}/nobody-knows-me")
    client.get("/secret-of-somebody")
    metrics = client.get("/metrics").text
    route = 'method="GET",route="/api/v1/mixes/{mix_id}",status="404"'
    assert f"render_api_request_duration_ms_count{{{route}}}" in metrics
    assert 'route="(none)",status="404"' in metrics
    assert "nobody-knows-me" not in metrics
    assert "secret-of-somebody" not in metrics


def test_a_mix_carries_the_trace_of_its_request(stack: Stack, client: httpx.Client) -> None:
    trace = "5bf92f3577b34da6a3ce929d0e0e4736"
    client.post(MIXES, json=bare("traced"), headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    stack.worker.wait_for("intake.decided", mix_id="traced", trace_id=trace)


def test_it_lives_and_keeps_up(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
