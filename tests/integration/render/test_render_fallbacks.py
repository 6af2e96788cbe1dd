"""Sources on servers that fail in every way: the whole mix is rendered, and every line that could not be is
counted with its reason, the same in the log of events, in SQL, in the metrics and in the log lines."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import av
import ffmpeg
import pytest
from frame_stamp import read_origin
from imageio_ffmpeg import get_ffmpeg_exe
from sample_table import SAMPLES

from tests.fault_server import Fault, FaultServer
from tests.integration.cutting.sandboxes import left_behind
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import ROOT, Role, wait_until

SAMPLES_DIR = ROOT / "media/samples"
PROFILE = {"width": 640, "height": 360, "fps": "30", "quality": "draft"}
REASONS = {
    "cdn_error": 4,
    "cdns_unreachable": 1,
    "no_candidates": 1,
    "source_invalid": 1,
    "source_refused": 1,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(SAMPLES_DIR).in_thread() as server:
        segment("neon-grid", tmp_path_factory.mktemp("hls"), server)
        yield server


def segment(name: str, folder: Path, server: FaultServer) -> None:
    """The sample as HLS, by stream copy, at `/hls/NAME.m3u8`."""
    playlist = folder / f"{name}.m3u8"
    pattern = str(folder / f"{name}-%03d.ts")
    options = {"c": "copy", "f": "hls", "hls_time": 4, "hls_playlist_type": "vod"}
    source = ffmpeg.input(str(SAMPLES_DIR / f"{name}.mp4"))["v:0"]
    ffmpeg.output(source, str(playlist), hls_segment_filename=pattern, **options).run(
        cmd=get_ffmpeg_exe(), quiet=True
    )
    for file in folder.iterdir():
        server.put(f"/hls/{file.name}", file.read_bytes())


@contextmanager
def nobody_listening() -> Iterator[int]:
    """A port of ours on which every connection is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def candidate(name: str, uri: str, start_ms: int = 12_000, video_id: str | None = None) -> dict[str, Any]:
    return {"video_id": video_id or name, "uri": uri, "start_ms": start_ms}


def request_of(mix_id: str, lines: list[list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "mix_id": mix_id,
        "profile": PROFILE,
        "lines": [
            {
                "text": f"line {number}",
                "start_ms": 1000 * number,
                "end_ms": 1000 * number + 1000,
                "candidates": each,
            }
            for number, each in enumerate(lines)
        ],
    }


def shown(rendered: dict[str, Any]) -> dict[int, tuple[int, Fraction]]:
    """Source number and source time of the first frame of each line whose picture carries a stamp."""
    seen = {}
    with av.open(unquote(urlsplit(rendered["uri"]).path)) as video:
        for number, frame in enumerate(video.decode(video=0)):
            if number % 30 == 0:
                try:
                    origin = read_origin(frame)
                except ValueError:
                    continue
                rate = next(sample.fps for sample in SAMPLES if sample.number == origin.source)
                seen[number // 30] = (origin.source, origin.frame / rate)
    return seen


@contextmanager
def second_worker(stack: Stack, folder: Path) -> Iterator[Role]:
    """One beside that of the stack, with its own share of the tasks."""
    second = Role("worker", stack.worker.environment, folder / "second.log").start()
    try:
        for group in ("clipfold-cutter", "clipfold-assembler", "clipfold-intake"):
            second.wait_for("kafka.partitions_assigned", group=group, timeout_s=120)
        yield second
    finally:
        assert second.terminate() == 0


def sums(workers: tuple[Role, ...]) -> Counter[str]:
    """Every metric, summed over the workers."""
    total: Counter[str] = Counter()
    for worker in workers:
        total.update({name: int(value) for name, value in worker.metrics().items() if isfinite(value)})
    return total


def said(workers: tuple[Role, ...]) -> list[dict[str, Any]]:
    """What any of the workers said of the mix."""
    return [line for worker in workers for line in worker.lines() if line.get("mix_id") == "fallbacks"]


def test_every_line_ends_in_its_clip_or_in_its_reason(
    stack: Stack, server: FaultServer, tmp_path: Path
) -> None:
    server.put("/page.mp4", b"<html><body>not found</body></html>" * 100)
    server.faults |= {
        "/broken.mp4": Fault(status=500),
        "/away.mp4": Fault(status=302, headers={"Location": "http://10.1.2.3/a.mp4"}),
        "/cut.mp4": Fault(body=(SAMPLES_DIR / "neon-grid.mp4").read_bytes(), cut_after=70_000),
        "/hls/neon-grid-004.ts": Fault(status=404),
    }
    with nobody_listening() as port:
        lines = [
            [candidate("neon-grid", server.url("/neon-grid.mp4"))],
            [candidate("missing", server.url("/nowhere.mp4"))],
            [candidate("broken", server.url("/broken.mp4"))],
            [candidate("dead", f"http://127.0.0.1:{port}/a.mp4")],
            [],
            [
                candidate("missing", server.url("/nowhere.mp4")),
                candidate("neon-grid", "media/samples/neon-grid.mp4", 5000),
            ],
            [candidate("stream", server.url("/hls/neon-grid.m3u8"), 12_500)],
            [candidate("stream", server.url("/hls/neon-grid.m3u8"), 45_000)],
            [candidate("page", server.url("/page.mp4"))],
            [candidate("away", server.url("/away.mp4"))],
            [candidate("cut", server.url("/cut.mp4"))],
        ]
        with second_worker(stack, tmp_path) as second:
            workers = (stack.worker, second)
            before = sums(workers)
            stack.submit(request_of("fallbacks", lines))
            stack.wait_for_end("fallbacks")
            wait_until(
                lambda: any(line["event"] == "render_worker.clip_stats" for line in said(workers)),
                "it is told",
            )
            counted = sums(workers)
    counted.subtract(before)
    story = stack.events("fallbacks")
    rendered = story[-1]
    assert rendered["type"] == "mix-rendered"
    assert rendered["clip_stats"]["total_clips"] == len(lines)
    assert rendered["clip_stats"]["fallback_reason_counts"] == REASONS

    neon = next(sample.number for sample in SAMPLES if sample.name == "neon-grid")
    assert_shows(shown(rendered), {0: 12_000, 5: 5_000, 6: 12_500}, neon)
    assert_retried(story)
    assert_counted_alike(stack, counted, said(workers))
    assert all(any(said((worker,))) for worker in workers), "one had no part in it"
    assert not (stack.artifacts / "render_tmp" / "job_fallbacks").exists()
    assert left_behind(stack.artifacts / "clips") == []


def assert_shows(seen: dict[int, tuple[int, Fraction]], wanted: dict[int, int], source: int) -> None:
    assert {line: seen[line][0] for line in wanted} == dict.fromkeys(wanted, source)
    for line, start_ms in wanted.items():
        assert abs(seen[line][1] - Fraction(start_ms, 1000)) <= Fraction(1, 30)


def assert_retried(story: list[dict[str, Any]]) -> None:
    """What may pass was tried again, what cannot was not."""
    tries = Counter(event["video_id"] for event in story if event["type"] == "clip-attempt-failed")
    assert tries == {"missing": 2, "broken": 3, "dead": 3, "stream": 1, "page": 1, "away": 1, "cut": 3}


def assert_counted_alike(stack: Stack, counted: Counter[str], logged: list[dict[str, Any]]) -> None:
    """SQL, the sums of the metrics over the workers, and their logs say the same."""
    ((counts,),) = stack.sql(
        "SELECT fallback_reason_counts::VARCHAR FROM clip_stats WHERE mix_id = 'fallbacks'"
    )
    assert json.loads(counts) == REASONS
    assert reasons_in(counted, "render_clip_placeholder_total") == REASONS
    failures = dict(
        stack.sql(
            "SELECT reason, count(*) FROM attempts "
            "WHERE mix_id = 'fallbacks' AND outcome = 'failed' GROUP BY reason"
        )
    )
    assert reasons_in(counted, "render_clip_failures_total") == failures
    exceptions = Counter(line["reason"] for line in logged if line["event"].endswith("_exception"))
    assert exceptions == failures
    ((completed,),) = stack.sql(
        "SELECT count(*) FROM attempts WHERE mix_id = 'fallbacks' AND outcome = 'completed'"
    )
    assert counted["render_clip_duration_ms_count"] == completed
    assert sum(line["event"] == "render_worker.clip_task_completed" for line in logged) == completed
    assert counted['render_requests_total{result="accepted"}'] == 1
    assert counted['render_mixes_ended_total{result="mix-rendered"}'] == 1
    placeholders = [line for line in logged if line["event"] == "render_worker.placeholder_inserted"]
    assert Counter(line["fallback_reason"] for line in placeholders) == REASONS
    had_not = [line for line in logged if line["event"] == "twelvelabs.retrieve_exception"]
    (page,) = (line for line in had_not if line["video_id"] == "page")
    assert "/page.mp4 is no video file" in page["error"]
    assert {line["reason"] for line in had_not} == REASONS.keys() - {"no_candidates"}
    assert all(line["level"] == "warning" and line["error"] and line["video_id"] for line in had_not)
    assert counted["render_fetch_bytes_total"] > 0


def reasons_in(counted: Counter[str], metric: str) -> dict[str, int]:
    """How often each reason occurred, as the metric has it."""
    prefix = f'{metric}{{reason="'
    return {
        name.removeprefix(prefix).removesuffix('"}'): count
        for name, count in counted.items()
        if name.startswith(prefix) and count
    }


def test_lines_of_one_source_fetch_it_once(stack: Stack, server: FaultServer) -> None:
    lines = [
        [candidate("ocean", server.url("/ocean-waves.mp4"), 1000 * n, f"ocean-{n % 3}")] for n in range(9)
    ]
    stack.submit(request_of("shared-source", lines))
    stack.wait_for_end("shared-source")
    assert stack.events("shared-source")[-1]["clip_stats"]["completed_tasks"] == 9
    size = (SAMPLES_DIR / "ocean-waves.mp4").stat().st_size
    assert 0 < server.sent["/ocean-waves.mp4"] <= size
    asked = server.requests["/ocean-waves.mp4"]
    stack.submit(request_of("shared-source-again", lines))
    stack.wait_for_end("shared-source-again")
    assert server.requests["/ocean-waves.mp4"] == asked


def test_a_song_may_be_fetched_too(stack: Stack, server: FaultServer) -> None:
    request = request_of("fetched-song", [[]]) | {"song": {"uri": server.url("/song.m4a")}}
    stack.submit(request)
    stack.wait_for_end("fetched-song")
    rendered = stack.events("fetched-song")[-1]
    assert rendered["type"] == "mix-rendered"
    with av.open(unquote(urlsplit(rendered["uri"]).path)) as video:
        assert len(video.streams.audio) == 1
    stack.submit(request | {"mix_id": "lost-song", "song": {"uri": server.url("/lost.m4a")}})
    stack.wait_for_end("lost-song")
    end = stack.events("lost-song")[-1]
    assert (end["type"], end["reason"]) == ("mix-failed", "song_unavailable")
