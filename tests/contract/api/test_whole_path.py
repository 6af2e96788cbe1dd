"""From a request to a video, as a program that has nothing but HTTP goes."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from tests.contract.api.client import MIXES, Stack, events_in, small


def test_post_follow_get_and_fetch_by_ranges(
    stack: Stack, client: httpx.Client, slow_case: dict[str, Any]
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    asked = client.post(
        MIXES,
        json=small(slow_case, "whole-path", 4),
        headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"},
    )
    assert asked.status_code == 202
    told = asked.json()
    assert (told["mix_id"], told["location"]) == ("whole-path", f"{MIXES}/whole-path")
    assert asked.headers["location"] == told["location"]
    assert told["record"].startswith("mix-requests/")

    with client.stream("GET", f"{MIXES}/whole-path/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = list(events_in(stream))
    assert [events[0].event, events[-1].event] == ["mix-accepted", "mix-rendered"]
    assert [event.event for event in events[1:-1]] == ["clip-completed"] * 4
    assert events[0].data["caused_by"] == told["record"]
    assert {event.data["trace_id"] for event in events} == {trace}
    assert len({event.id for event in events}) == 6

    mix = client.get(told["location"]).json()
    assert (mix["status"], mix["revision"], mix["trace_id"]) == ("rendered", 1, trace)
    assert mix["clip_stats"] == events[-1].data["clip_stats"]
    video = fetch_by_ranges(client, f"{told['location']}/video", events[-1].data["bytes"])
    (file,) = (stack.artifacts / "mixes" / "whole-path").glob("r1/video.mp4")
    assert video == Path(file).read_bytes()
    assert sha256(video).hexdigest() == events[-1].data["sha256"]


def fetch_by_ranges(client: httpx.Client, url: str, size: int) -> bytes:
    pieces = []
    for start in range(0, size, size // 3):
        answer = client.get(url, headers={"Range": f"bytes={start}-{start + size // 3 - 1}"})
        assert answer.status_code == 206, answer.text
        pieces.append(answer.content)
    return b"".join(pieces)
