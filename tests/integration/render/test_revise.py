"""A mix is revised: in work, rendered, failed or cancelled; what did not change is never cut again."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

from stream_app.domain.mix import Mix
from stream_app.kafka.follow import follow_mix
from tests.integration.render.conftest import Stack
from tests.integration.render.roles import wait_until
from tests.integration.render.test_parallel_clip_pipeline import small
from topics.codec import read_event
from topics.events import MixEvent


def told(stack: Stack, mix_id: str) -> list[Any]:
    """The whole story of a mix, read without a process of its own: these tests look often."""

    async def read() -> list[Any]:
        async with aclosing(follow_mix(stack.settings, mix_id, live=False)) as records:
            events = [read_event(record.value) async for record in records if record]
        return [event for event in events if isinstance(event, MixEvent)]

    return asyncio.run(read())


def folded(stack: Stack, mix_id: str) -> Mix:
    mix = Mix()
    for event in told(stack, mix_id):
        mix.apply(event)
    return mix


def wait_for_revision(stack: Stack, mix_id: str, revision: int, status: str, timeout_s: float = 60) -> None:
    """Wait until SQL shows that this revision has ended so."""
    query = f"SELECT revision, status FROM render_jobs WHERE id = '{mix_id}'"
    what = f"{mix_id} r{revision} {status}"
    wait_until(lambda: stack.sql(query) == [(revision, status)], what, timeout_s, poll_s=0.3)


def revise(stack: Stack, mix_id: str, **change: Any) -> str:
    return stack.submit({"type": "mix-revise", "mix_id": mix_id, **change})


def test_a_rendered_mix_gets_a_second_video_with_one_new_clip(
    stack: Stack, slow_case: dict[str, Any], tmp_path: Path
) -> None:
    request = small(slow_case, "revised", lines=4)
    stack.submit(request)
    stack.wait_for_end("revised")
    first = told(stack, "revised")
    swapped = {**request["lines"][2], "candidates": slow_case["lines"][9]["candidates"]}
    change = tmp_path / "change.json"
    change.write_text(json.dumps({"lines": [swapped]}))
    answer = json.loads(stack.clipfold("revise", "revised", str(change), "--watch", "--json"))
    assert (answer["status"], answer["revision"], answer["clip_stats"]["total_clips"]) == ("rendered", 2, 4)
    later = told(stack, "revised")[len(first) :]
    assert [event.type for event in later] == ["mix-accepted", "clip-completed", "mix-rendered"]
    assert later[1].clip_index == 2
    assert later[2].uri == answer["output_uri"]
    assert answer["output_uri"].endswith("/revised/r2/video.mp4")
    both = stack.artifacts / "mixes" / "revised"
    manifests = [json.loads((both / f"r{n}" / "manifest.json").read_text()) for n in (1, 2)]
    assert [manifest["revision"] for manifest in manifests] == [1, 2]
    parts = [[part["sha256"] for part in manifest["parts"]] for manifest in manifests]
    assert [old == new for old, new in zip(*parts, strict=True)] == [True, True, False, True]
    wait_for_revision(stack, "revised", 2, "rendered")
    assert not (stack.artifacts / "render_tmp" / "job_revised").exists()
    again = json.loads(stack.clipfold("revise", "revised", str(change), "--json"))
    assert again == {"mix_id": "revised", "record": None, "revision": 2}
    revise(stack, "revised", lines=[swapped])
    stack.submit(request)
    wait_until(lambda: told(stack, "revised")[-1].type == "mix-rejected", "the first content is another now")
    assert len(told(stack, "revised")) == len(first) + len(later) + 1


def test_a_revision_survives_the_death_of_the_worker(stack: Stack, slow_case: dict[str, Any]) -> None:
    request = small(slow_case, "revised-killed", lines=6)
    stack.submit(request)
    stack.wait_for_end("revised-killed")
    revise(stack, "revised-killed", lines=slow_case["lines"][20:40])
    stack.worker.wait_for("render_worker.clip_task_completed", mix_id="revised-killed", count=9)
    stack.worker.kill()
    stack.worker.start()
    wait_for_revision(stack, "revised-killed", 2, "rendered")
    mix = folded(stack, "revised-killed")
    assert (mix.stats().total_clips, mix.stats().completed_tasks) == (26, 26)


def test_failed_and_cancelled_mixes_are_mended_by_a_revision(stack: Stack, slow_case: dict[str, Any]) -> None:
    broken = small(slow_case, "mended", lines=2) | {"song": {"uri": "media/samples/nowhere.m4a"}}
    stack.submit(broken)
    stack.wait_for_end("mended")
    revise(stack, "mended", song={**slow_case["song"], "offset_ms": -175_000})
    wait_for_revision(stack, "mended", 2, "rendered")
    cancelled = small(slow_case, "stopped", lines=30)
    stack.submit(cancelled)
    stack.submit({"type": "mix-cancel", "mix_id": "stopped"})
    wait_for_revision(stack, "stopped", 1, "cancelled")
    revise(stack, "stopped", subtitles={"sidecar": ["vtt"]})
    wait_for_revision(stack, "stopped", 2, "rendered")
    assert folded(stack, "stopped").stats().total_clips == 30
    assert (stack.artifacts / "mixes" / "stopped" / "r2" / "video.vtt").exists()


def test_a_mix_in_work_ends_as_its_newest_revision(stack: Stack, slow_case: dict[str, Any]) -> None:
    request = small(slow_case, "in-work", lines=20)
    stack.submit(request)
    changed = {**request["lines"][19], "candidates": slow_case["lines"][41]["candidates"]}
    revise(stack, "in-work", lines=[changed])
    revise(stack, "in-work", lines=[{**request["lines"][0], "candidates": []}])
    wait_for_revision(stack, "in-work", 3, "rendered")
    mix = folded(stack, "in-work")
    assert (mix.stats().total_clips, mix.stats().placeholder_tasks) == (20, 1)
    stack.clipfold("show", "in-work")
    assert json.loads(stack.clipfold("watch", "in-work", "--json"))["revision"] == 3


def test_a_revision_that_cannot_be_is_rejected_and_changes_nothing(
    stack: Stack, slow_case: dict[str, Any]
) -> None:
    request = small(slow_case, "kept", lines=2)
    stack.submit(request)
    stack.wait_for_end("kept")
    before = len(told(stack, "kept"))
    first = request["lines"][0]
    revise(stack, "kept", lines=[{**first, "end_ms": first["end_ms"] + 500}])
    revise(stack, "never-there", priority=9)
    wait_until(lambda: len(told(stack, "kept")) > before, "it is answered")
    (rejected,) = told(stack, "kept")[before:]
    assert [(error.path, error.code) for error in rejected.errors] == [("/lines/0/end_ms", "overlap")]
    wait_until(lambda: bool(told(stack, "never-there")), "it is answered")
    (unknown,) = told(stack, "never-there")
    assert [(error.path, error.code) for error in unknown.errors] == [("/mix_id", "mix_unknown")]
