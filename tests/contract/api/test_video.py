"""Fetching what was made: whole, in pieces, or not at all when it is still the same."""

import json
from email.message import Message
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream_app.kafka.partitioning import home_partition
from tests.contract.api.client import MIXES, Stack, events_in, problem_of, wait_for_status, wait_until_listed

URL = f"{MIXES}/rendered/video"


@pytest.fixture(scope="session")
def video(stack: Stack, rendered: dict[str, Any]) -> bytes:
    assert rendered["video"]["href"] == URL
    return (stack.artifacts / "mixes/rendered/r1/video.mp4").read_bytes()


def test_the_whole_video_by_get_and_what_it_is_by_head(client: httpx.Client, video: bytes) -> None:
    answer = client.get(URL)
    assert answer.content == video
    assert answer.headers["etag"] == f'"{sha256(video).hexdigest()}"'
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == 'inline; filename="rendered.mp4"'
    assert answer.headers["accept-ranges"] == "bytes"
    head = client.head(URL)
    assert (head.status_code, head.content) == (200, b"")
    same = ("etag", "content-type", "content-length", "accept-ranges")
    assert [head.headers[name] for name in same] == [answer.headers[name] for name in same]


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("0-0", 0, 1), ("10-99", 10, 100), ("100-", 100, None), ("-7", -7, None)]
)
def test_one_range(client: httpx.Client, video: bytes, asked: str, start: int, end: int | None) -> None:
    answer = client.get(URL, headers={"Range": f"bytes={asked}"})
    piece = video[start:end]
    assert (answer.status_code, answer.content) == (206, piece)
    first = len(video) + start if start < 0 else start
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(piece) - 1}/{len(video)}"


def test_several_ranges(client: httpx.Client, video: bytes) -> None:
    answer = client.get(URL, headers={"Range": "bytes=0-9,100-109"})
    assert answer.status_code == 206
    header = Message()
    header["content-type"] = answer.headers["content-type"]
    assert header.get_content_type() == "multipart/byteranges"
    assert video[:10] in answer.content
    assert video[100:110] in answer.content
    assert len(answer.content) < 1000


def test_what_is_not_there_cannot_be_fetched(client: httpx.Client, video: bytes) -> None:
    answer = client.get(URL, headers={"Range": f"bytes={len(video)}-"})
    problem_of(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(video)}"


def test_a_browser_that_has_it_gets_nothing_and_one_that_has_another_gets_all(
    client: httpx.Client, video: bytes
) -> None:
    etag = client.head(URL).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = client.get(URL, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert client.get(URL, headers={"If-None-Match": '"other"'}).content == video
    piece = {"Range": "bytes=0-9"}
    assert client.get(URL, headers={**piece, "If-Range": etag}).content == video[:10]
    assert client.get(URL, headers={**piece, "If-Range": '"other"'}).content == video


def test_the_lyrics_beside_it(client: httpx.Client, video: bytes) -> None:
    assert video
    answer = client.get(f"{MIXES}/rendered/subtitles/srt")
    assert answer.text.startswith("1\n00:00:00,000 --> ")
    assert answer.headers["content-type"] == "application/x-subrip; charset=utf-8"
    problem_of(client.get(f"{MIXES}/rendered/subtitles/vtt"), 404)
    problem_of(client.get(f"{MIXES}/rendered/subtitles/exe"), 422)


def test_no_event_makes_it_send_what_is_no_video_of_ours(
    stack: Stack, client: httpx.Client, rendered: dict[str, Any], tmp_path: Path
) -> None:
    """Whoever can write to Kafka could name any file in a `mix-rendered`."""
    assert rendered
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"nothing that anybody may have")
    inside = stack.artifacts / "mixes" / "link.mp4"
    inside.symlink_to(secret)
    gone = stack.artifacts / "mixes" / "gone.mp4"
    dotted = f"{stack.artifacts.as_uri()}/mixes/../../{tmp_path.name}/secret.mp4"
    uris = [secret.as_uri(), inside.as_uri(), gone.as_uri(), dotted, "s3://bucket/video.mp4"]
    with client.stream("GET", f"{MIXES}/rendered/events") as stream:
        events = list(events_in(stream))
    for number, uri in enumerate(uris):
        mix_id = f"forged-{number}"
        for event in (events[0].data, {**events[-1].data, "uri": uri}):
            forge(stack, mix_id, {**event, "mix_id": mix_id})
        assert wait_for_status(client, mix_id, "rendered")["video"]
        answer = client.get(f"{MIXES}/{mix_id}/video")
        problem_of(answer, 410)
        assert b"nothing that anybody may have" not in answer.content


def test_what_others_have_written_breaks_no_answer(
    stack: Stack, client: httpx.Client, rendered: dict[str, Any]
) -> None:
    """Newer programs know reasons that this one does not, and with kcat anybody can leave anything out."""
    assert rendered
    with client.stream("GET", f"{MIXES}/rendered/events") as stream:
        accepted, clip, *_ = (event.data for event in events_in(stream))
    common = {name: clip[name] for name in ("event_id", "trace_id", "caused_by", "at_ms", "clip_task_id")}
    for event in (
        accepted,
        {**common, "type": "clip-placeholder", "fallback_reason": "reason_of_the_future", "clip_index": 0},
        {**common, "type": "mix-rendered", "revision": 1},
        {**common, "type": "mix-of-the-future"},
    ):
        forge(stack, "strange", {**event, "mix_id": "strange"})
    wait_until_listed(client, "strange")
    told = client.get(f"{MIXES}/strange").raise_for_status().json()
    assert told["clip_stats"]["fallback_reason_counts"] == {"reason_of_the_future": 1}
    clips = client.get(f"{MIXES}/strange/clips").raise_for_status().json()["items"]
    assert clips[clip["clip_index"]]["fallback_reason"] == "reason_of_the_future"
    problem_of(client.get(f"{MIXES}/strange/video"), 410)
    with client.stream("GET", f"{MIXES}/strange/events", params={"follow": "true"}) as stream:
        events = events_in(stream)
        assert [next(events).event for _ in range(4)][1] == "unreadable"


def forge(stack: Stack, mix_id: str, event: dict[str, Any]) -> None:
    home = str(home_partition(mix_id))
    stack.kcat("-P", "-t", "mix-events", "-p", home, "-k", mix_id, typed=json.dumps(event))
