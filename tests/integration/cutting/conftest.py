"""Sources whose every frame carries its own number, so that what a clip shows can be read and not
believed."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.container import OutputContainer
from av.video.stream import VideoStream
from imageio_ffmpeg import get_ffmpeg_exe

from topics.profile import RenderProfile

BITS = 10
WIDTH, HEIGHT = 320, 180
TOP_GREY, BOTTOM_GREY = 160, 90
WHITE, BLACK = 235, 16

Picture = npt.NDArray[np.uint8]


def draw(number: int, width: int, height: int) -> Picture:
    """Ten bars of bits, the lowest on the left, between a light strip on top and a dark one below."""
    picture = np.zeros((height, width), np.uint8)
    for bit in range(BITS):
        bar = slice(bit * width // BITS, (bit + 1) * width // BITS)
        picture[:, bar] = WHITE if number >> bit & 1 else BLACK
    picture[: height // 6] = TOP_GREY
    picture[-(height // 6) :] = BOTTOM_GREY
    return picture


def read_number(luma: Picture) -> int | None:
    """The number drawn on an upright picture; -1 for black, None when it is not one of our pictures."""
    height, width = luma.shape
    if int(luma.max()) < 40:
        return -1
    strips = int(luma[height // 12].mean()), int(luma[-height // 12].mean())
    if abs(strips[0] - TOP_GREY) > 25 or abs(strips[1] - BOTTOM_GREY) > 25:
        return None
    bars = [int(luma[height // 2, (2 * bit + 1) * width // (2 * BITS)]) for bit in range(BITS)]
    if any(80 < bar < 170 for bar in bars):
        return None
    return sum((bar > 125) << bit for bit, bar in enumerate(bars))


@dataclass
class Kind:
    """How a source is made; `times` are the true presentation times of its frames in seconds, from 0."""

    suffix: str = "mp4"
    codec: str = "libx264"
    rate: Fraction = Fraction(30)
    frames: int = 150
    options: dict[str, str] = field(default_factory=lambda: {"preset": "veryfast", "g": "250", "bf": "3"})
    container: dict[str, str] = field(default_factory=dict)
    pixels: str = "yuv420p"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    sar: Fraction | None = None
    rotation: int = 0
    times: Sequence[Fraction] | None = None
    first: Fraction = Fraction(0)
    audio: bool = False
    full_range: bool = False
    through: Sequence[str] = ()
    """Options with which FFmpeg makes the source from an mp4 of the rest."""


@dataclass(frozen=True)
class Source:
    """A source file and when its frames are truly shown, the first at 0."""

    path: Path
    times: tuple[Fraction, ...]
    end: Fraction


CLOCK = Fraction(1, 90000)


def ffmpeg(*arguments: object) -> None:
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=120)


def make(kind: Kind, path: Path) -> Source:
    if kind.through:
        first = make(replace(kind, through=()), path.with_suffix(".first.mp4"))
        ffmpeg("-i", first.path, *kind.through, path)
        return replace(first, path=path)
    times = list(kind.times or [k / kind.rate for k in range(kind.frames)])
    with av.open(str(path), "w", options=kind.container) as out:
        stream = out.add_stream(kind.codec, rate=kind.rate, options=kind.options)
        _describe(stream, kind)
        sound = out.add_stream("aac", rate=48000) if kind.audio else None
        if sound is not None:
            _beep(out, sound, float(times[-1] + kind.first))
        for number, time in enumerate(times):
            frame = _frame(number, kind)
            frame.time_base = stream.codec_context.time_base
            frame.pts = round((time + kind.first) / frame.time_base)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return Source(path, tuple(times), times[-1] + 1 / kind.rate)


def _describe(stream: VideoStream, kind: Kind) -> None:
    context = stream.codec_context
    context.width, context.height = kind.size
    context.pix_fmt = kind.pixels
    context.time_base = CLOCK if kind.times or kind.first else 1 / kind.rate
    if kind.sar is not None:
        context.sample_aspect_ratio = kind.sar
    if kind.rotation:
        stream.set_display_rotation(kind.rotation)


def _frame(number: int, kind: Kind) -> av.VideoFrame:
    width, height = kind.size
    if abs(kind.rotation) == 90:
        width, height = height, width
    # A display rotation turns the stored picture counter-clockwise by that many degrees.
    luma = np.rot90(draw(number, width, height), -kind.rotation // 90)
    grey = av.VideoFrame.from_ndarray(np.ascontiguousarray(luma), "gray")
    grey.color_range = 1
    return grey.reformat(
        format=kind.pixels,
        src_color_range="MPEG",
        dst_color_range="JPEG" if kind.full_range or kind.pixels.startswith("yuvj") else "MPEG",
    )


def _beep(out: OutputContainer, sound: av.AudioStream, seconds: float) -> None:
    for at in range(0, int(seconds * 48000), 1024):
        wave = (np.sin(np.arange(at, at + 1024) / 20) * 8000).astype(np.int16)
        block = av.AudioFrame.from_ndarray(np.stack([wave, wave]).T.reshape(1, -1), "s16", "stereo")
        block.sample_rate, block.pts = 48000, at
        out.mux(sound.encode(block))
    out.mux(sound.encode(None))


def read_clip(path: Path) -> list[int | None]:
    """The number on each frame of a clip."""
    return [read_number(luma) for luma in lumas(path)]


def lumas(path: Path) -> Iterator[Picture]:
    with av.open(str(path)) as clip:
        for frame in clip.decode(video=0):
            yield frame.to_ndarray()[: frame.height, : frame.width]


def fair(source: Source, shown: Sequence[int | None], start_ms: int, fps: Fraction) -> bool:
    """Whether one phase within half an output frame explains every frame that is shown.

    A millisecond more is allowed, because containers round their clocks to it.
    """
    half = 1 / (2 * fps) + Fraction(1, 1000)
    low, high = -half, half
    bounds = [*source.times, max(source.end, source.times[-1])]
    for k, number in enumerate(shown):
        if number is None or not 0 <= number < len(source.times):
            return False
        moment = Fraction(start_ms, 1000) + k / fps
        low, high = max(low, bounds[number] - moment), min(high, bounds[number + 1] - moment)
    return low < high


SECOND = Fraction(1)
X264 = {"preset": "veryfast"}
OPEN_GOP = {**X264, "x264-params": "open-gop=1:keyint=12:bframes=3"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=60:open-gop=1:bframes=3"}
INTERLACED = {**X264, "flags": "+ildct+ilme", "x264-params": "tff=1:keyint=50"}
WRAP = str(2**33 / 90_000 - 3.5)
"""Two seconds before the 33 bits of a transport stream's clock are full, its muxer's own 1.5 s counted in."""

VP9_OPTIONS = ("-deadline", "realtime", "-cpu-used", "8", "-g", "60")
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "60"}
MPEG2 = {"g": "12", "bf": "2", "b": "4000000"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def _uneven(frames: int) -> tuple[Fraction, ...]:
    """A variable rate, with a hole of 0.4 s after frame 70."""
    steps = [400 if number == 70 else (20, 33, 33, 40, 50)[number * 7 % 5] for number in range(frames)]
    return tuple(Fraction(sum(steps[:number]), 1000) for number in range(frames))


KINDS = {
    "h264-mp4": Kind(),
    "faststart": Kind(container={"movflags": "faststart"}),
    "60-fps": Kind(rate=Fraction(60), frames=300),
    "23.976-fps": Kind(rate=Fraction(24000, 1001)),
    "25-fps": Kind(rate=Fraction(25)),
    "10-fps": Kind(rate=Fraction(10), frames=60),
    "29.97-mkv": Kind(suffix="mkv", rate=Fraction(30000, 1001)),
    "60-fps-mkv": Kind(suffix="mkv", rate=Fraction(60), frames=300),
    "fragmented": Kind(container=FRAGMENTED, options={**X264, "g": "30"}, audio=True),
    "vp9-webm": Kind(suffix="webm", codec="libvpx-vp9", options=VP9),
    "vp8-hidden-frames": Kind(
        suffix="webm", codec="libvpx", options={"cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}
    ),
    "av1": Kind(codec="libsvtav1", options={"preset": "8", "g": "60"}),
    "hevc": Kind(codec="libx265", options=X265),
    "hevc-faststart": Kind(codec="libx265", options=X265, container={"movflags": "faststart"}),
    "hevc-mkv": Kind(suffix="mkv", codec="libx265", options=X265),
    "variable-rate": Kind(times=_uneven(150)),
    "variable-rate-mkv": Kind(suffix="mkv", times=_uneven(150)),
    "open-gop": Kind(options=OPEN_GOP),
    "open-gop-mkv": Kind(suffix="mkv", options=OPEN_GOP),
    "intra-refresh": Kind(options={**X264, "x264-params": "intra-refresh=1:keyint=30"}),
    "late-video-mp4": Kind(first=SECOND / 2, audio=True),
    "late-video-mkv": Kind(suffix="mkv", first=SECOND / 2, audio=True),
    "ts": Kind(suffix="ts", options={**X264, "g": "50"}),
    "ts-late-video": Kind(suffix="ts", audio=True, first=SECOND * 7 / 10),
    "ts-open-gop": Kind(suffix="ts", options=OPEN_GOP),
    "ts-hevc": Kind(suffix="ts", codec="libx265", options=X265),
    "ts-mpeg2": Kind(suffix="ts", codec="mpeg2video", options=MPEG2),
    "ts-interlaced": Kind(suffix="ts", options=INTERLACED),
    "interlaced": Kind(options=INTERLACED),
    "bottom-field-first-mkv": Kind(
        suffix="mkv", options={**INTERLACED, "x264-params": "bff=1:keyint=50"}, rate=Fraction(30000, 1001)
    ),
    "negative-composition": Kind(through=("-c", "copy", "-movflags", "negative_cts_offsets")),
    "cmaf": Kind(options={**X264, "g": "30"}, through=("-c", "copy", "-movflags", "+cmaf+frag_keyframe")),
    "dash": Kind(options={**X264, "g": "30"}, through=("-c", "copy", "-movflags", "+dash+frag_keyframe")),
    "empty-edit": Kind(first=SECOND / 2, through=("-c", "copy")),
    "live-mkv": Kind(suffix="mkv", options={**X264, "g": "30"}, through=("-c", "copy", "-live", "1")),
    "live-webm": Kind(suffix="webm", codec="libvpx-vp9", options=VP9, through=("-c", "copy", "-live", "1")),
    "deep-b-pyramid": Kind(options={**X264, "bf": "8", "x264-params": "b-pyramid=normal:b-adapt=0:ref=8"}),
    "ts-clock-wraps": Kind(suffix="ts", through=("-c", "copy", "-output_ts_offset", WRAP)),
    "vp9-10-bit": Kind(
        suffix="webm",
        through=("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p10le", *VP9_OPTIONS),
    ),
    "hevc-10-bit": Kind(codec="libx265", options=X265, pixels="yuv420p10le"),
    "17-thirds-fps": Kind(rate=Fraction(17, 3), frames=40),
    "prores": Kind(suffix="mov", codec="prores_ks", pixels="yuv422p10le", options={}),
    "theora": Kind(suffix="ogv", through=("-c:v", "libtheora", "-q:v", "8")),
    "rotated-90": Kind(rotation=90, size=(HEIGHT, WIDTH)),
    "rotated-270": Kind(rotation=-90, size=(HEIGHT, WIDTH)),
    "rotated-180": Kind(rotation=180),
    "wide-pixels": Kind(size=(240, 180), sar=Fraction(4, 3)),
    "odd-size": Kind(size=(321, 181), pixels="yuv444p"),
    "10-bit": Kind(pixels="yuv420p10le"),
    "full-range": Kind(suffix="mov", codec="mjpeg", pixels="yuvj422p", options={}),
    "mpeg2-mkv": Kind(suffix="mkv", codec="mpeg2video", options=MPEG2),
    "mpeg2-ps": Kind(suffix="mpg", codec="mpeg2video", options=MPEG2),
    "avi": Kind(suffix="avi", codec="mpeg4", options={"b": "4000000", "bf": "2"}),
    "flv": Kind(suffix="flv", codec="flv", options={"b": "4000000"}),
    "wmv": Kind(suffix="wmv", codec="wmv2", options={"b": "4000000"}),
}


class Footage:
    """Makes sources of each kind once, and reads what clips show."""

    Kind = Kind
    read = staticmethod(read_clip)
    lumas = staticmethod(lumas)
    fair = staticmethod(fair)
    make = staticmethod(make)
    ffmpeg = staticmethod(ffmpeg)
    kinds = KINDS

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Source] = {}

    def source(self, name: str) -> Source:
        if name not in self._made:
            self._made[name] = make(KINDS[name], self._folder / f"{name}.{KINDS[name].suffix}")
        return self._made[name]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS)


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return Footage(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def small() -> RenderProfile:
    return RenderProfile(width=WIDTH, height=HEIGHT, quality="draft")
