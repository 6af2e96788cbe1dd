"""Kafka dies and comes back: nothing is pretended, what is known is told, and all goes on by itself."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from stream_app.kafka import broker
from tests.contract.api.client import MIXES, Stack, bare, problem_of, wait_for_status
from tests.integration.render.roles import wait_until

NEED_KAFKA: list[tuple[str, str, Any]] = [
    ("POST", MIXES, bare("kept-waiting")),
    ("POST", f"{MIXES}/rendered/cancel", {}),
    ("POST", f"{MIXES}/rendered/revise", {"priority": 9}),
    ("GET", f"{MIXES}/kept-waiting", None),
    ("GET", f"{MIXES}/rendered/events", None),
]
SOON_S = 20
"""Far more than the API takes, on a machine that is busy with other things."""


def test_what_needs_kafka_is_a_503_until_it_is_back(
    stack: Stack, client: httpx.Client, rendered: dict[str, Any]
) -> None:
    broker.stop(stack.home)
    try:
        with ThreadPoolExecutor(len(NEED_KAFKA)) as pool:
            asked_at = time.monotonic()
            answers = list(pool.map(lambda each: client.request(each[0], each[1], json=each[2]), NEED_KAFKA))
            assert time.monotonic() - asked_at < SOON_S
        for answer in answers:
            problem_of(answer, 503)
            assert answer.headers["retry-after"] == "5"
        # What the snapshot has is told all the same.
        assert client.get(f"{MIXES}/rendered").json() == rendered
        assert client.get(rendered["video"]["href"]).status_code == 200
        assert client.get("/healthz").status_code == 200
    finally:
        broker.start(stack.home, cache=broker.default_home())
    wait_until(lambda: client.post(MIXES, json=bare("kept-waiting")).status_code == 202, "it goes on", 60)
    # Exactly one request, although it was sent before.
    assert wait_for_status(client, "kept-waiting", "rendered")["revision"] == 1
    told = client.get(f"{MIXES}/rendered").json()
    assert (told["revision"], told["status"]) == (1, "rendered")
