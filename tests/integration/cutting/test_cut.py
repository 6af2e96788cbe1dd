"""Real sources of many kinds: every frame of every clip is read back."""

import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from stream_app.clip.encoding import make_black, parameter_set
from stream_app.clip.verify import verify_clip
from stream_app.cutting.cut import cut_clip
from stream_app.cutting.orders import CutOrder
from stream_app.cutting.placeholder import make_placeholder
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

FRAMES = 20


@pytest.mark.parametrize("fps", ["30", "25", "30000/1001"])
def test_each_frame_is_the_one_on_display(
    footage: Any, kind: str, small: RenderProfile, fps: str, tmp_path: Path
) -> None:
    source, out = footage.source(kind), tmp_path / "clip.mp4"
    profile = small.model_copy(update={"fps": fps})
    near_end = int((source.end - FRAMES / profile.rate) * 1000)
    for start_ms in (0, 33, 1667, 2517, near_end):
        cut = cut_clip(CutOrder(SourceFile(source.path), start_ms, FRAMES, 0, profile), out)
        verify_clip(out, profile, FRAMES)
        shown = footage.read(out)
        assert footage.fair(source, shown, start_ms, profile.rate), (start_ms, shown)
        for said, number in ((cut.first_source_ms, shown[0]), (cut.last_source_ms, shown[-1])):
            assert abs(said - source.times[number] * 1000) <= 1


def test_past_the_end_is_too_short(footage: Any, kind: str, small: RenderProfile, tmp_path: Path) -> None:
    source, out = footage.source(kind), tmp_path / "clip.mp4"
    for start_ms in (int(source.end * 1000) - 500, int(source.end * 1000), 3_600_000):
        with pytest.raises(SourceError) as caught:
            cut_clip(CutOrder(SourceFile(source.path), start_ms, FRAMES, 0, small), out)
        assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT
        assert not out.exists()


def test_an_extension_shows_what_there_is_and_then_black(
    footage: Any, small: RenderProfile, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"
    cut = cut_clip(CutOrder(SourceFile(footage.source("h264-mp4").path), 4000, 20, 30, small), out)
    verify_clip(out, small, 50)
    assert footage.read(out) == [*range(120, 150), *[-1] * 20]
    assert (cut.frames, cut.black_frames, cut.last_source_ms) == (50, 20, 4967)


@pytest.mark.parametrize("fit", ["crop", "pad", "blur", "stretch"])
def test_another_shape_fills_the_picture_as_asked(
    footage: Any, small: RenderProfile, fit: str, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"
    profile = small.model_copy(update={"width": 180, "height": 180, "fit": fit})
    cut_clip(CutOrder(SourceFile(footage.source("h264-mp4").path), 0, 4, 0, profile), out)
    verify_clip(out, profile, 4)
    luma = next(iter(footage.lumas(out)))
    rows = [int(luma[row].mean()) for row in (8, 85, 172)]
    assert rows[1] < 40
    if fit == "pad":
        assert rows[0] == rows[2] == 16
    elif fit == "blur":
        # The light strip above the picture and the dark one below it go on blurred.
        assert rows[0] > rows[2] > 40
    else:
        assert abs(rows[0] - 155) < 12
        assert abs(rows[2] - 90) < 12


@pytest.mark.parametrize(("size", "matrix"), [((320, 180), "bt601"), ((1280, 720), "bt709")])
def test_untold_colours_are_read_by_size(
    small: RenderProfile, size: tuple[int, int], matrix: str, tmp_path: Path
) -> None:
    """Pure red comes out as BT.709 red, whichever matrix a source of its size was made with."""
    source, out = tmp_path / "red.mkv", tmp_path / "clip.mp4"
    with av.open(str(source), "w") as file:
        stream = file.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        red = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), (255, 0, 0), np.uint8), "rgb24")
        for k in range(8):
            frame = red.reformat(
                format="yuv420p",
                dst_colorspace="ITU601" if matrix == "bt601" else "ITU709",
                dst_color_range="MPEG",
            )
            frame.colorspace, frame.color_range, frame.pts = 2, 0, k
            frame.time_base = Fraction(1, 30)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    cut_clip(CutOrder(SourceFile(source), 0, 4, 0, small), out)
    with av.open(str(out)) as clip:
        frame = next(clip.decode(video=0))
        planes = [bytes(plane)[plane.line_size * 20 + 50] for plane in frame.planes]
    assert np.allclose(planes, (63, 102, 240), atol=3)


def test_all_clips_of_a_profile_have_one_parameter_set(footage: Any, tmp_path: Path) -> None:
    for quality in ("draft", "standard", "high"):
        profile = RenderProfile.model_validate(
            {"width": 320, "height": 180, "quality": quality, "fps": "30000/1001"}
        )
        out = tmp_path / "clip.mp4"
        for name in (
            "h264-mp4",
            "full-range",
            "10-bit",
            "wide-pixels",
            "rotated-90",
            "interlaced",
            "vp9-webm",
        ):
            cut_clip(CutOrder(SourceFile(footage.source(name).path), 100, 7, 2, profile), out)
            verify_clip(out, profile, 9)
        make_black(profile, 1, out)
        verify_clip(out, profile, 1)
        make_placeholder(footage.source("60-fps").path, profile, 3, out)
        verify_clip(out, profile, 3)
        assert parameter_set(profile)


@pytest.mark.parametrize("rate", ["1", "23", "24000/1001", "25", "30", "59", "120000/1001", "120", "29/2"])
def test_any_rate_has_an_exact_grid(footage: Any, small: RenderProfile, rate: str, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    profile = small.model_copy(update={"fps": rate})
    cut_clip(CutOrder(SourceFile(footage.source("h264-mp4").path), 0, 3, 0, profile), out)
    verify_clip(out, profile, 3)


@pytest.mark.parametrize("second", [{}, {"size": (640, 360)}, {"first": Fraction(40)}])
def test_a_clock_that_jumps_is_put_straight(
    footage: Any, small: RenderProfile, second: dict[str, Any], tmp_path: Path
) -> None:
    """Two streams in a file: the second starts again at the same times, in another size, or much later."""
    twice, out = tmp_path / "twice.ts", tmp_path / "clip.mp4"
    later = footage.make(replace(footage.kinds["ts"], **second), tmp_path / "later.ts")
    twice.write_bytes(footage.source("ts").path.read_bytes() + later.path.read_bytes())
    for start_ms, first in ((0, 0), (2000, 60), (7000, 60)):
        cut = cut_clip(CutOrder(SourceFile(twice), start_ms, FRAMES, 0, small), out)
        assert footage.read(out) == list(range(first, first + FRAMES))
        assert cut.method == "pyav-exact-rebased"


def test_an_edit_list_moves_the_start_of_the_clock(
    footage: Any, small: RenderProfile, tmp_path: Path
) -> None:
    """A copy from 1.5 s on holds the frames before it too, back to the keyframe, and hides them."""
    cut, out = tmp_path / "cut.mp4", tmp_path / "clip.mp4"
    command = [
        get_ffmpeg_exe(),
        "-v",
        "error",
        "-ss",
        "1.5",
        "-i",
        footage.source("h264-mp4").path,
        "-c",
        "copy",
    ]
    subprocess.run([*command, cut], check=True, timeout=60)
    for start_ms, first in ((0, 45), (1000, 75)):
        made = cut_clip(CutOrder(SourceFile(cut), start_ms, FRAMES, 0, small), out)
        assert footage.read(out) == list(range(first, first + FRAMES))
        assert made.first_source_ms == start_ms


def test_a_placeholder_is_the_asset_looped(footage: Any, small: RenderProfile, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    assert make_placeholder(footage.source("10-fps").path, small, 400, out).method == "placeholder"
    verify_clip(out, small, 400)
    once = [number for number in range(60) for _ in range(3)]
    assert footage.read(out) == (once * 3)[:400]


def test_a_placeholder_of_few_pictures_is_looped_too(
    footage: Any, small: RenderProfile, tmp_path: Path
) -> None:
    out, asset = tmp_path / "clip.mp4", tmp_path / "asset.mp4"
    footage.make(footage.Kind(frames=3), asset)
    assert make_placeholder(asset, small, 10, out).method == "placeholder"
    assert footage.read(out) == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("content", [None, b"", b"no video", b"half"])
def test_a_placeholder_without_a_good_asset_is_black(
    footage: Any, small: RenderProfile, content: bytes | None, tmp_path: Path
) -> None:
    out, asset = tmp_path / "clip.mp4", tmp_path / "asset.mp4"
    if content == b"half":
        data = footage.source("29.97-mkv").path.read_bytes()
        content = data[: len(data) // 4] + bytes(2000) + data[len(data) // 4 + 2000 :]
    if content is not None:
        asset.write_bytes(content)
    assert make_placeholder(asset, small, 100, out).method == "black"
    verify_clip(out, small, 100)
    assert footage.read(out) == [-1] * 100
