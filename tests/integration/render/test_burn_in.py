"""Lyrics in the picture of a finished video: on clips and placeholders, and gone when the line has ended."""

from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.integration.render.conftest import Stack
from tests.integration.render.test_parallel_clip_pipeline import path_of, small
from tests.integration.render.test_revise import revise, told, wait_for_revision

NOBODY_HAS = "\U0010fffd"


def sung(slow_case: dict[str, Any], mix_id: str, *, burn_in: bool) -> dict[str, Any]:
    """Three lines of a second, with half a second of extension after each; the last has no source."""
    request = small(slow_case, mix_id, lines=3)
    lines = [
        {**line, "start_ms": number * 1500, "end_ms": number * 1500 + 1000, "text": f"la {number}"}
        for number, line in enumerate(request["lines"])
    ]
    lines[2]["candidates"] = []
    return {**request, "lines": lines, "subtitles": {"burn_in": burn_in, "sidecar": []}}


def lumas(stack: Stack, mix_id: str) -> npt.NDArray[np.int_]:
    uri = told(stack, mix_id)[-1].uri
    with av.open(path_of(uri)) as video:
        return np.stack([frame.to_ndarray(format="gray") for frame in video.decode(video=0)]).astype(int)


def test_every_line_is_in_the_picture_while_it_is_sung(stack: Stack, slow_case: dict[str, Any]) -> None:
    for burn_in in (False, True):
        stack.submit(sung(slow_case, f"sung-{burn_in}".lower(), burn_in=burn_in))
    for burn_in in (False, True):
        stack.wait_for_end(f"sung-{burn_in}".lower())
    plain, burnt = lumas(stack, "sung-false"), lumas(stack, "sung-true")
    assert plain.shape == burnt.shape
    change = np.abs(plain - burnt)
    lower = change[:, change.shape[1] * 2 // 3 :].max(axis=(1, 2)) > 90
    assert lower.tolist() == ([True] * 30 + [False] * 15) * 2 + [True] * 30


def test_other_text_is_another_clip_and_missing_letters_are_told(
    stack: Stack, slow_case: dict[str, Any]
) -> None:
    request = sung(slow_case, "resung", burn_in=True)
    stack.submit(request)
    stack.wait_for_end("resung")
    seen = len(told(stack, "resung"))
    revise(stack, "resung", lines=[{**request["lines"][0], "text": f"lu {NOBODY_HAS}"}])
    wait_for_revision(stack, "resung", 2, "rendered")
    later = told(stack, "resung")[seen:]
    assert [event.type for event in later] == ["mix-accepted", "clip-completed", "mix-rendered"]
    assert later[1].undrawn == NOBODY_HAS
    stack.worker.wait_for("render_worker.lyrics_incomplete", mix_id="resung", undrawn=NOBODY_HAS)
