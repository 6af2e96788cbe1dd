"""Whatever light a source is made of comes out as BT.709; zimg, by way of FFmpeg's `zscale`, is the judge."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from stream_app.cutting.cut import cut_clip
from stream_app.cutting.orders import CutOrder
from stream_app.cutting.picture import Painter
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

PATCH = 40
"""Pixels a side of a patch; what is looked at is its middle."""

WHITE = 203
"""cd/m2 of BT.709's white."""

KNEE = 90
"""cd/m2: up to here tone mapping changes nothing for a peak of 1,000."""

GREYS = [(level, level, level) for level in (0.0, 0.5, 2.0, 10.0, 30.0, 60.0, float(KNEE))]
COLOURS = [
    (60.0, 30.0, 30.0),
    (30.0, 60.0, 30.0),
    (30.0, 30.0, 60.0),
    (80.0, 60.0, 20.0),
    (20.0, 80.0, 60.0),
    (70.0, 45.0, 33.0),
    (25.0, 45.0, 80.0),
]
"""Light of the primaries of BT.709, cd/m2."""

TOLERANCE = 5
"""Of 255, for each of R, G and B: the table, 4:2:0 in 8 bits, and two encoders."""

Light = tuple[float, float, float]
Colours = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """How light is stored; the names are `zscale`'s and FFmpeg's."""

    transfer: str
    primaries: str
    matrix: str
    encoder: tuple[str, ...] = ("-c:v", "libx265", "-x265-params", "log-level=none:lossless=1")
    pixels: str = "yuv420p10le"
    suffix: str = "mp4"
    full_range: bool = False


VP9 = ("-c:v", "libvpx-vp9", "-lossless", "1", "-deadline", "realtime", "-cpu-used", "8")
X264 = ("-c:v", "libx264", "-qp", "0")
PRORES = ("-c:v", "prores_ks", "-profile:v", "4")
KINDS = {
    "pq-hevc": Kind("smpte2084", "bt2020", "bt2020nc"),
    "pq-hevc-full-range": Kind("smpte2084", "bt2020", "bt2020nc", full_range=True),
    "pq-vp9": Kind("smpte2084", "bt2020", "bt2020nc", VP9, suffix="webm"),
    "pq-prores": Kind("smpte2084", "bt2020", "bt2020nc", PRORES, "yuv444p10le", "mov"),
    "pq-p3": Kind("smpte2084", "smpte432", "bt2020nc"),
    "hlg-hevc": Kind("arib-std-b67", "bt2020", "bt2020nc"),
    "hlg-h264": Kind("arib-std-b67", "bt2020", "bt2020nc", X264),
    "sdr-bt2020": Kind("bt2020-10", "bt2020", "bt2020nc"),
    "sdr-p3": Kind("bt709", "smpte432", "bt709", X264, "yuv420p"),
    "sdr-bt709": Kind("bt709", "bt709", "bt709", X264, "yuv420p"),
    "sdr-bt709-full-range": Kind("bt709", "bt709", "bt709", X264, "yuv420p", full_range=True),
    "sdr-bt601-matrix": Kind("bt709", "bt709", "smpte170m", X264, "yuv420p"),
}


ZIMG = {"bt709": "709", "bt2020": "2020", "bt2020-10": "2020_10", "bt2020nc": "2020_ncl", "smpte170m": "170m"}
"""Where its names differ from FFmpeg's."""


def make(kind: Kind, patches: Sequence[Light], path: Path, *more: str) -> Path:
    """A video of one frame of patches side by side, its light encoded by zimg."""
    row = np.repeat(np.array(patches, np.float32) / WHITE, PATCH, axis=0)
    picture = np.broadcast_to(row, (PATCH, *row.shape))
    raw = path.with_suffix(".raw")
    raw.write_bytes(b"".join(np.ascontiguousarray(picture[..., colour]).tobytes() for colour in (1, 2, 0)))
    known = "setparams=color_primaries=bt709:color_trc=linear:colorspace=gbr:range=pc"
    transfer, primaries, matrix = (ZIMG.get(tag, tag) for tag in (kind.transfer, kind.primaries, kind.matrix))
    range_ = "full" if kind.full_range else "limited"
    # Without agamma=0 it takes short cuts: HLG's system gamma for each colour alone.
    told = f"zscale=npl={WHITE}:agamma=0:t={transfer}:p={primaries}:m={matrix}:r={range_}"
    command: list[object] = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-f", "rawvideo", "-r", "30"]
    command += ["-pix_fmt", "gbrpf32le", "-s", f"{len(patches) * PATCH}x{PATCH}", "-i", raw]
    command += ["-vf", f"{known},{told},format={kind.pixels}", *kind.encoder, *more]
    command += ["-color_trc", kind.transfer, "-color_primaries", kind.primaries, "-colorspace", kind.matrix]
    command += ["-color_range", "pc" if kind.full_range else "tv", path]
    subprocess.run([str(part) for part in command], check=True, timeout=120)
    return path


def shown(path: Path, patches: int, out: Path, **profile: Any) -> Colours:
    """R'G'B', 0 to 255, of the patches on a clip that is cut from `path`."""
    size = {"width": patches * PATCH, "height": PATCH, "quality": "high"}
    cut_clip(CutOrder(SourceFile(path), 0, 1, 0, RenderProfile.model_validate({**size, **profile})), out)
    with av.open(str(out)) as clip:
        frame = next(clip.decode(video=0))
    tags = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert [int(tag) for tag in tags] == [1, 1, 1, 1]
    planes = [np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    middles = [PATCH * number + PATCH // 2 for number in range(patches)]
    middle = frame.height // 2
    luma, blue, red = (
        np.array([plane[middle // step, column // step] for column in middles], float)
        for plane, step in zip(planes, (1, 2, 2), strict=True)
    )
    luma, blue, red = (luma - 16) / 219 * 255, (blue - 128) / 224 * 255, (red - 128) / 224 * 255
    colours = [luma + 1.5748 * red, luma - 0.18733 * blue - 0.46813 * red, luma + 1.8556 * blue]
    return np.clip(np.stack(colours, axis=1), 0, 255)


def display_code(patches: Sequence[Light]) -> Colours:
    """What a BT.1886 display with a white of 203 cd/m2 must be told to show that light."""
    return np.asarray(np.clip(np.array(patches) / WHITE, 0, 1) ** (1 / 2.4) * 255)


@pytest.mark.parametrize("name", KINDS)
def test_light_comes_out_as_it_was(name: str, tmp_path: Path) -> None:
    kind, patches = KINDS[name], [*GREYS, *COLOURS]
    source = make(kind, patches, tmp_path / f"source.{kind.suffix}")
    seen = shown(source, len(patches), tmp_path / "clip.mp4")
    assert np.abs(seen - display_code(patches)).max() <= TOLERANCE


@pytest.mark.parametrize("fit", ["pad", "blur", "stretch"])
def test_every_fit_maps_the_light(fit: str, tmp_path: Path) -> None:
    source = make(KINDS["pq-hevc"], COLOURS, tmp_path / "source.mp4")
    seen = shown(source, len(COLOURS), tmp_path / "clip.mp4", height=PATCH * 3, fit=fit)
    assert np.abs(seen - display_code(COLOURS)).max() <= TOLERANCE


@pytest.mark.parametrize("name", ["pq-hevc", "hlg-hevc"])
def test_what_is_brighter_than_paper_rolls_off_to_white(name: str, tmp_path: Path) -> None:
    """BT.2390's curve: paper white at 9/10 of the codes, 1,000 cd/m2 at the top, flatter and flatter."""
    levels = [KNEE, 150, WHITE, 300, 400, 600, 1000]
    source = make(KINDS[name], [(level, level, level) for level in levels], tmp_path / "source.mp4")
    seen = shown(source, len(levels), tmp_path / "clip.mp4")
    assert seen[0, 1] == pytest.approx((KNEE / WHITE) ** (1 / 2.4) * 255, abs=2)
    assert seen[2, 1] == pytest.approx(0.9 * 255, abs=4)
    assert seen[-1, 1] == pytest.approx(255, abs=2)
    steps = np.diff(seen[:, 1])
    assert (steps[:-1] > 2).all()
    assert (np.diff(steps) < 0).all()


def test_a_bright_colour_keeps_its_hue(tmp_path: Path) -> None:
    orange = (800.0, 400.0, 100.0)
    source = make(KINDS["pq-hevc"], [orange] * 4, tmp_path / "source.mp4")
    red, green, blue = (shown(source, 4, tmp_path / "clip.mp4")[1] / 255) ** 2.4
    assert green / red == pytest.approx(1 / 2, abs=0.05)
    assert blue / red == pytest.approx(1 / 8, abs=0.03)


@pytest.mark.parametrize(("light_levels", "white"), [("4000,400", False), ("500,100", True), ("0,0", True)])
def test_the_peak_is_the_contents_own(light_levels: str, white: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """1,000 cd/m2 are white, but not where the content goes to 4,000 (MaxCLL); 0 is untold."""
    parameters = f"log-level=none:max-cll={light_levels}:hdr10=1"
    kind = Kind("smpte2084", "bt2020", "bt2020nc", ("-c:v", "libx265", "-x265-params", parameters))
    source = make(kind, [(1000.0, 1000.0, 1000.0)] * 4, tmp_path / "source.mp4")
    seen = shown(source, 4, tmp_path / "clip.mp4")[1, 1]
    assert (seen > 252) == white
    assert seen > 220


def test_the_peak_of_the_mastering_display_counts_where_the_contents_is_untold(tmp_path: Path) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
    parameters = f"log-level=none:master-display={display}:hdr10=1"
    kind = Kind("smpte2084", "bt2020", "bt2020nc", ("-c:v", "libx265", "-x265-params", parameters))
    source = make(kind, [(1000.0, 1000.0, 1000.0), (4000.0, 4000.0, 4000.0)] * 2, tmp_path / "source.mp4")
    seen = shown(source, 4, tmp_path / "clip.mp4")[:, 1]
    assert seen[0] < 252
    assert seen[1] > 254


def test_a_matrix_that_cannot_be_undone_is_refused() -> None:
    ictcp = av.VideoFrame(64, 64, "yuv420p10le")
    ictcp.colorspace, ictcp.color_trc, ictcp.color_primaries = 14, 16, 9
    with pytest.raises(SourceError, match=r"matrix 14 .* convert it to BT\.709") as caught:
        Painter(RenderProfile(width=64, height=64), None).paint(ictcp)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
