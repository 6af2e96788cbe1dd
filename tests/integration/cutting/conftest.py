"""Sources whose every frame carries its own number, so that what a clip shows can be read and not
believed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.container import OutputContainer
from av.video.stream import VideoStream

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


@dataclass(frozen=True)
class Source:
    """A source file and when its frames are truly shown, the first at 0."""

    path: Path
    times: tuple[Fraction, ...]
    end: Fraction


CLOCK = Fraction(1, 90000)


def make(kind: Kind, path: Path) -> Source:
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


@pytest.fixture(scope="session")
def make_source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Source]:
    made: dict[str, Source] = {}
    folder = tmp_path_factory.mktemp("sources")

    def of(kind: Kind) -> Source:
        key = repr(kind)
        if key not in made:
            made[key] = make(kind, folder / f"{len(made)}.{kind.suffix}")
        return made[key]

    return of


@pytest.fixture
def small() -> RenderProfile:
    return RenderProfile(width=WIDTH, height=HEIGHT, quality="draft")
