"""Following: every event once, in order, however often the client comes back."""

import json
from typing import Any

import httpx
import pytest

from stream_app.kafka.partitioning import home_partition
from tests.contract.api.client import MIXES, Stack, Told, bare, events_in, problem_of, wait_for_status
from tests.integration.render.roles import wait_until

URL = f"{MIXES}/rendered/events"


def told(client: httpx.Client, last: str | None = None) -> list[Told]:
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", URL, headers=headers) as stream:
        return list(events_in(stream))


def streams(client: httpx.Client) -> float:
    rows = client.get("/metrics").text.splitlines()
    return float(next(row for row in rows if row.startswith("render_api_streams ")).split()[1])


def test_a_client_that_comes_back_anywhere_gets_what_it_lacks(
    client: httpx.Client, rendered: dict[str, Any]
) -> None:
    assert rendered["status"] == "rendered"
    whole = told(client)
    assert [event.event for event in whole] == [
        "mix-accepted",
        "clip-completed",
        "clip-completed",
        "mix-rendered",
    ]
    assert all(event.id.split(":")[0] == str(home_partition("rendered")) for event in whole)
    for position, event in enumerate(whole):
        assert told(client, event.id) == whole[position + 1 :]


def test_the_data_is_the_record_as_it_stands_in_kafka(
    stack: Stack, client: httpx.Client, rendered: dict[str, Any]
) -> None:
    assert rendered
    with client.stream("GET", URL) as stream:
        data = [line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: ")]
    partition, offset = told(client)[-1].id.split(":")
    record = stack.kcat("-C", "-t", "mix-events", "-p", partition, "-o", offset, "-c", "1")
    assert record.rstrip("\n") == data[-1]


@pytest.mark.parametrize("last", ["nonsense", "99:1", "1", ":", "1:-1", "\u0663:\u0661"])
def test_an_id_that_is_no_event_of_the_mix_is_told(
    client: httpx.Client, rendered: dict[str, Any], last: str
) -> None:
    assert rendered
    answer = client.get(URL, headers={"Last-Event-ID": last.encode()})
    (error,) = problem_of(answer, 422)["errors"]
    assert error["path"] == "/header/Last-Event-ID"


def test_following_goes_on_after_the_end_and_its_end_is_noticed(client: httpx.Client) -> None:
    client.post(MIXES, json=bare("followed"))
    wait_for_status(client, "followed", "rendered")
    with client.stream("GET", f"{MIXES}/followed/events", params={"follow": "true"}) as stream:
        events = events_in(stream)
        assert [next(events).event for _ in range(3)][-1] == "mix-rendered"
        assert streams(client) >= 1
        change = {"lines": [{"line_id": "1", "text": "lala", "start_ms": 0, "end_ms": 300}]}
        client.post(f"{MIXES}/followed/revise", json=change).raise_for_status()
        assert next(events).data["revision"] == 2
    wait_until(lambda: streams(client) == 0, "the client has gone", 30)


def test_a_revision_that_nobody_has_decided_on_is_waited_for(stack: Stack, client: httpx.Client) -> None:
    client.post(MIXES, json=bare("revised-early"))
    wait_for_status(client, "revised-early", "rendered")
    change = {"lines": [{"line_id": "1", "text": "lala", "start_ms": 0, "end_ms": 300}]}
    with stack.nobody_decides():
        client.post(f"{MIXES}/revised-early/revise", json=change).raise_for_status()
        request = client.build_request("GET", f"{MIXES}/revised-early/events")
        stream = client.send(request, stream=True)
    revisions = [event.data["revision"] for event in events_in(stream) if event.event == "mix-rendered"]
    stream.close()
    assert revisions == [1, 2]


def test_a_request_without_effect_holds_up_no_stream_for_long(stack: Stack, client: httpx.Client) -> None:
    client.post(MIXES, json=bare("ended-twice"))
    wait_for_status(client, "ended-twice", "rendered")
    cancel = {"type": "mix-cancel", "mix_id": "ended-twice"}
    stack.kcat("-P", "-t", "mix-requests", "-k", "ended-twice", typed=json.dumps(cancel))
    with client.stream("GET", f"{MIXES}/ended-twice/events") as stream:
        assert [event.event for event in events_in(stream)][-1] == "mix-rendered"


def test_so_many_streams_and_no_more(stack: Stack, client: httpx.Client, rendered: dict[str, Any]) -> None:
    assert rendered
    wait_until(lambda: streams(client) == 0, "those of other tests have ended", 30)
    limit = int(stack.environment["RENDER_API_MAX_STREAMS"])
    opened = [client.build_request("GET", URL, params={"follow": "true"}) for _ in range(limit)]
    answers = [client.send(request, stream=True) for request in opened]
    try:
        assert {answer.status_code for answer in answers} == {200}
        refused = client.get(URL)
        assert str(limit) in problem_of(refused, 503)["detail"]
        assert refused.headers["retry-after"] == "5"
    finally:
        for answer in answers:
            answer.close()
    wait_until(lambda: streams(client) == 0, "all have gone", 30)
    assert len(told(client)) == 4
