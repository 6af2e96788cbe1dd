"""What is kept no longer is removed beside running roles, and what anybody asks for then is made again."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.render.conftest import Stack
from tests.integration.render.roles import wait_until
from tests.integration.render.test_parallel_clip_pipeline import path_of, small
from tests.integration.render.test_revise import folded, revise, told, wait_for_revision

LONG_AGO_S = 40 * 86_400
KEEP_DAYS = 0.0003
"""26 s: longer than a command takes from the end of a mix on, and no longer than a test may wait."""


@pytest.fixture(autouse=True)
def half_a_minute_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands typed here take for old: their worker still keeps to the 30 days."""
    monkeypatch.setenv("RENDER_KEEP_CLIPS_DAYS", str(KEEP_DAYS))
    monkeypatch.setenv("RENDER_KEEP_VIDEOS_DAYS", str(KEEP_DAYS))


def clips_of(stack: Stack, mix_id: str) -> set[Path]:
    return {path_of(outcome.uri) for outcome in folded(stack, mix_id).effective_outcomes}


def collect(stack: Stack, *options: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stack.clipfold("gc", "--json", *options))
    return answer


def wait_until_long_over(ended_at_ms: int) -> None:
    """Nobody tells when, and a log cannot be made to look older."""
    wait_until(
        lambda: time.time() - ended_at_ms / 1000 > KEEP_DAYS * 86_400, "it is long over", 60, poll_s=0.5
    )


def test_removed_files_are_made_again_on_demand(stack: Stack, slow_case: dict[str, Any]) -> None:
    stack.submit(small(slow_case, "collected", lines=3))
    stack.wait_for_end("collected")
    clips = clips_of(stack, "collected")
    video = path_of(told(stack, "collected")[-1].uri)
    # Not yet: it has just ended.
    for path in clips:
        os.utime(path, (time.time() - LONG_AGO_S,) * 2)
    kept = {each["path"] for each in collect(stack)["removed"]}
    assert not kept & {str(path) for path in (*clips, video.parent)}
    wait_until_long_over(told(stack, "collected")[-1].at_ms)
    foreseen = collect(stack, "--dry-run")
    assert all(path.exists() for path in (*clips, video))
    done = collect(stack)
    assert (foreseen["dry_run"], done["dry_run"]) == (True, False)
    assert done["removed"] == foreseen["removed"]
    assert done["bytes"] >= sum(each["bytes"] for each in done["removed"] if each["kind"] == "clip") > 0
    assert not any(path.exists() for path in (*clips, video.parent))
    shown = stack.clipfold("show", "collected", "--json")
    assert json.loads(shown)["status"] == "rendered"

    stack.clipfold("revise", "collected", "--again")
    wait_for_revision(stack, "collected", 2, "rendered")
    story = told(stack, "collected")
    assert [event.type for event in story[-5:]] == ["mix-accepted", *["clip-completed"] * 3, "mix-rendered"]
    assert story[-1].frames == story[4].frames
    for event in story[-4:]:
        content = path_of(event.uri).read_bytes()
        assert hashlib.sha256(content).hexdigest() == event.sha256
    assert clips_of(stack, "collected") == clips, "the same recipes give the same clips"


def test_a_join_that_misses_a_clip_says_what_to_do(stack: Stack, slow_case: dict[str, Any]) -> None:
    stack.submit(small(slow_case, "robbed", lines=2))
    stack.wait_for_end("robbed")
    for path in clips_of(stack, "robbed"):
        path.unlink()
    revise(stack, "robbed", subtitles={"sidecar": ["vtt"]})
    wait_for_revision(stack, "robbed", 2, "failed")
    assert "again: true" in told(stack, "robbed")[-1].message
    revise(stack, "robbed", again=True)
    wait_for_revision(stack, "robbed", 3, "rendered")
    assert all(path.exists() for path in clips_of(stack, "robbed"))
