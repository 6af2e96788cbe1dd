"""Any span at any rate out of many kinds of source: what was asked comes out, or it is too short."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_app.clip.verify import verify_clip
from stream_app.cutting.cut import cut_clip
from stream_app.cutting.orders import CutOrder
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

KINDS = (
    "h264-mp4",
    "60-fps",
    "23.976-fps",
    "17-thirds-fps",
    "29.97-mkv",
    "60-fps-mkv",
    "variable-rate",
    "variable-rate-mkv",
    "open-gop",
    "late-video-mkv",
    "fragmented",
    "ts",
    "ts-clock-wraps",
    "vp9-webm",
    "hevc",
    "interlaced",
)
RATES = ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60", "17/3", "119/7")
ROUNDING = Fraction(2, 1000)
"""Containers round their clocks to 1 ms, the end of the source and the start of its last frame alike."""

BLACK = -1


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(KINDS),
    fps=st.sampled_from(RATES),
    start_ms=st.integers(0, 5400),
    frames=st.integers(1, 40),
    extension=st.integers(0, 30),
)
def test_any_span(
    footage: Any, tmp_path: Path, *, name: str, fps: str, start_ms: int, frames: int, extension: int
) -> None:
    source, out = footage.source(name), tmp_path / "clip.mp4"
    profile = RenderProfile(width=320, height=180, quality="draft", fps=fps)
    rate = profile.rate
    # How much of the source is left when the middle of the last own frame has come.
    left = source.end - Fraction(start_ms, 1000) - (frames - Fraction(1, 2)) / rate
    order = CutOrder(SourceFile(source.path), start_ms, frames, extension, profile)
    try:
        cut = cut_clip(order, out)
    except SourceError as error:
        if error.reason is not FallbackReason.SOURCE_TOO_SHORT or left >= ROUNDING:
            raise
        return
    assert left > -ROUNDING
    verify_clip(out, profile, frames + extension)
    shown = footage.read(out)
    assert len(shown) == cut.frames == frames + extension
    seen = shown[: len(shown) - cut.black_frames]
    assert shown[len(seen) :] == [BLACK] * cut.black_frames
    # As many as have half their time before the end.
    there = (source.end - Fraction(start_ms, 1000)) * rate + Fraction(1, 2)
    least, most = int(there - ROUNDING * rate), int(there + ROUNDING * rate)
    assert min(least, cut.frames) <= len(seen) <= min(most, cut.frames)
    assert footage.fair(source, seen, start_ms, rate)
    told = (cut.first_source_ms, cut.last_source_ms)
    assert told == pytest.approx(
        [float(source.times[number] * 1000) for number in (seen[0], seen[-1])], abs=1
    )
