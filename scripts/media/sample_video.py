"""Makes one source video: pattern, stamp and text on every frame, encoded as its row of the table says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.video.stream import VideoStream
from frame_stamp import Origin, centre_area, stamp_row
from glyphs import ADVANCE, PAPER, text_rows
from patterns import PATTERNS, Canvas, Planes
from sample_sound import RATE, add_sound, beep, sound_frame
from sample_table import Sample

NEUTRAL = 128
BT709, LIMITED = 1, 1
THREADS = 2
"""Fixed: x264 makes other bytes with another number of threads."""


class SampleError(Exception):
    """A file that was made is not what the table promises."""


@dataclass(frozen=True)
class _Label:
    """Where the text lies, in pixels; all even."""

    left: int
    top: int
    dot: int
    width: int


def make_video(sample: Sample, path: Path, go_on: Callable[[], None], frames: int | None = None) -> None:
    """Writes the whole file.

    Args:
        sample: what to make.
        path: where; its ending must be the container's.
        go_on: called for each frame; may raise to end early.
        frames: makes only so many, for tests.
    """
    count = sample.frames if frames is None else frames
    with av.open(path, "w", options={"fflags": "+bitexact"}) as container:
        container.metadata["title"] = f"clipfold sample {sample.name}"
        container.metadata["comment"] = sample.recipe
        _encode(sample, container, count, go_on)


def _encode(sample: Sample, container: OutputContainer, count: int, go_on: Callable[[], None]) -> None:
    options = _encoder_options(sample)
    video = cast("VideoStream", container.add_stream(sample.codec, rate=sample.fps, options=options))
    video.width, video.height, video.pix_fmt = sample.width, sample.height, "yuv420p"
    coder = video.codec_context
    coder.thread_count = THREADS
    coder.colorspace = coder.color_primaries = coder.color_trc = BT709
    coder.color_range = LIMITED
    sound = add_sound(container, sample.sound) if sample.sound else None
    second = ceil(sample.fps)
    for number, frame in enumerate(draw_frames(sample, count)):
        go_on()
        container.mux(video.encode(frame))
        if (
            sound and number % second == 0
        ):  # a second at a time, so that the two stay side by side in the file
            until = min(number + second, count)
            start, end = (int(n / sample.fps * RATE) for n in (number, until))
            container.mux(sound.encode(sound_frame(beep(sample.number, end - start), start)))
    container.mux(video.encode(None))
    if sound:
        container.mux(sound.encode(None))


def _encoder_options(sample: Sample) -> dict[str, str]:
    if sample.codec == "libvpx-vp9":
        return {
            "deadline": "realtime",
            "cpu-used": "8",
            "crf": "36",
            "b": "0",
            "g": str(sample.gop),
            "row-mt": "1",
        }
    return {
        "preset": "ultrafast",
        "crf": "23",
        "g": str(sample.gop),
        "bf": str(sample.b_frames),
        "x264-params": f"scenecut=0:open-gop={int(sample.open_gop)}",
    }


def draw_frames(sample: Sample, count: int) -> Iterator[av.VideoFrame]:
    """The first `count` frames of a source, with their times."""
    strides = [plane.line_size for plane in av.VideoFrame(sample.width, sample.height, "yuv420p").planes]
    canvas = Canvas(PATTERNS[sample.name], sample.height, strides[0], strides[1])
    for number in range(count):
        picture = canvas.draw(number)
        _paint_stamp(picture, sample, number)
        _paint_label(picture, sample, number)
        frame = av.VideoFrame(sample.width, sample.height, "yuv420p")
        for plane, content in zip(frame.planes, (picture.luma, picture.blue, picture.red), strict=True):
            plane.update(bytes(content))
        frame.pts, frame.time_base = number, 1 / sample.fps
        yield frame


def running_time(frame: int, fps: Fraction) -> str:
    """`mm:ss.mmm` at which a frame is shown, from the first one, half up."""
    ms = int(frame * 1000 / fps + Fraction(1, 2))
    return f"{ms // 60_000:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def _paint_stamp(picture: Planes, sample: Sample, number: int) -> None:
    area = centre_area(sample.size)
    row, left, rows = stamp_row(Origin(sample.number, number), area), area.columns()[0], area.rows()
    for y in rows:
        _paint(picture.luma, picture.luma_stride, left, y, row)
    _take_colour_out(picture, left, rows.start, len(row), len(rows))


def _paint_label(picture: Planes, sample: Sample, number: int) -> None:
    """The name, the running time and the number of the frame, on a dark panel under the stamp."""
    lines = (sample.name.upper(), running_time(number, sample.fps), f"FRAME {number:05}")
    area = centre_area(sample.size)
    dot = max(2, area.height // 90)
    columns = max(map(len, lines)) * ADVANCE + 3
    label = _Label(area.columns()[0] // 2 * 2, (area.rows().stop + dot) // 2 * 2, dot, columns * dot // 2 * 2)
    y = label.top
    for line in lines:
        y = _paint_line(picture, label, y, line)
    _take_colour_out(picture, label.left, label.top, label.width, y - label.top)


def _paint_line(picture: Planes, label: _Label, y: int, line: str) -> int:
    margin = bytes([PAPER]) * (2 * label.dot)
    blank = b""
    for row in [blank, *text_rows(line, label.dot), blank]:
        whole = (margin + row).ljust(label.width, bytes([PAPER]))
        for _ in range(label.dot):
            _paint(picture.luma, picture.luma_stride, label.left, y, whole)
            y += 1
    return y


def _take_colour_out(picture: Planes, left: int, top: int, width: int, height: int) -> None:
    grey = bytes([NEUTRAL]) * ((left + width + 1) // 2 - left // 2)
    for y in range(top // 2, (top + height + 1) // 2):
        _paint(picture.blue, picture.chroma_stride, left // 2, y, grey)
        _paint(picture.red, picture.chroma_stride, left // 2, y, grey)


def _paint(plane: bytearray, stride: int, x: int, y: int, row: bytes) -> None:
    plane[y * stride + x : y * stride + x + len(row)] = row


def check_video(sample: Sample, path: Path, frames: int | None = None) -> None:
    """Reads a file back, without decoding it.

    Raises:
        SampleError: size, rate, keyframes, sound, number or times of the frames are not the table's.
        av.FFmpegError: it is no media file.
        OSError: it cannot be read.
    """
    count = sample.frames if frames is None else frames
    with av.open(path) as container:
        video = container.streams.video[0]
        times = [(p.pts, p.is_keyframe) for p in container.demux(video) if p.pts is not None]
        found = {
            "size": (video.width, video.height),
            "recipe": {key.lower(): value for key, value in container.metadata.items()}.get("comment"),
            "sound": len(container.streams.audio),
            "frames": len(times),
            "keyframe distances": _keyframe_distances(
                sorted(times), Fraction(video.time_base or 0) * sample.fps
            ),
        }
    promised = {
        "size": sample.size,
        "recipe": sample.recipe,
        "sound": int(sample.sound is not None),
        "frames": count,
        "keyframe distances": {sample.gop} if count > sample.gop else set(),
    }
    wrong = [f"{key} is {found[key]}, not {promised[key]}" for key in promised if found[key] != promised[key]]
    if wrong:
        raise SampleError(f"{path}: {'; '.join(wrong)}")


def _keyframe_distances(times: list[tuple[int, bool]], frames_per_tick: Fraction) -> set[int]:
    """Distances of keyframes in frames of the promised rate; {-1} when that is not the rate of the file."""
    first = times[0][0] if times else 0
    shown = [(round((pts - first) * frames_per_tick), key) for pts, key in times]
    if [number for number, _ in shown] != list(range(len(shown))):
        return {-1}
    return {later - earlier for earlier, later in pairwise(number for number, key in shown if key)}
