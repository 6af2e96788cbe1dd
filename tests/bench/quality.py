"""How good a video is: which source frame each of its frames shows, and its VMAF against lossless ones.

Where an asked moment lies between two source frames, two exact cutters may choose different neighbours. So
each video is held against the contract by itself (what it shows is on display within half an output frame of
the moment asked for), and its VMAF is taken against lossless pictures of the very frames that it shows.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
from av.filter import Graph
from av.video.frame import PictureType
from sources import SAMPLES, Origin, StampError, Workload, read_origin

EVERY_NTH = 3
"""VMAF looks at every third frame: the mean of 1,800 is that of 5,400 within 0.02."""

ROUNDED = Fraction(1, 1000)
"""Matroska's clock counts milliseconds."""

Shown = Sequence[Origin | None]


def origins(video: Path) -> list[Origin | None]:
    """Source and frame number that each frame shows in its stamp; None where none can be read."""
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return [_origin(frame) for frame in container.decode(video=0)]


def _origin(frame: av.VideoFrame) -> Origin | None:
    try:
        return read_origin(frame)
    except (StampError, ValueError):
        return None


def right_frames(workload: Workload, shown: Shown) -> int:
    """How many frames show what was asked for, at their place."""
    return sum(
        seen is not None and seen.source == source.number and _on_display(seen, source.fps, moment, half)
        for seen, (source, moment, half) in zip(shown, _asked(workload), strict=False)
    )


def _asked(workload: Workload) -> Iterator[tuple[Any, Fraction, Fraction]]:
    """For each frame of the video: the source, the moment in it, and half an output frame; in seconds."""
    samples = {sample.file: sample for sample in SAMPLES}
    interval = 1 / Fraction(workload.request["profile"]["fps"])
    for line in workload.lines:
        best = line["candidates"][0]
        for k in range(int(Fraction(line["end_ms"] - line["start_ms"], 1000) / interval)):
            yield samples[best["uri"]], Fraction(best["start_ms"], 1000) + k * interval, interval / 2


def _on_display(seen: Origin, rate: Fraction, moment: Fraction, half: Fraction) -> bool:
    begins, ends = seen.frame / rate - ROUNDED, (seen.frame + 1) / rate + ROUNDED
    return bool(begins <= moment + half and moment - half <= ends)


def vmaf(video: Path, shown: Shown, workload: Workload, folder: Path, *, straight: bool) -> float:
    """Mean VMAF of `video` against lossless pictures of the frames that it shows, scaled as it scales.

    Args:
        video: what is judged.
        shown: its frames, as `origins` reads them.
        workload: what was asked for.
        folder: for the lossless pictures.
        straight: whether a source that is within a pixel of the picture's shape is scaled straight to it, as
            ours is, or cut by that pixel, as the script's. Half a pixel of shift is no loss, but VMAF takes
            it for one.
    """
    reference = folder / "reference.mp4"
    _write_lossless(workload, shown, reference, straight=straight)
    with tempfile.NamedTemporaryFile(suffix=".json") as log:
        by_order = "[0:v]setpts=N/30/TB[a];[1:v]setpts=N/30/TB[b];[a][b]"
        measure = f"libvmaf=n_subsample={EVERY_NTH}:n_threads=2:log_fmt=json:log_path={log.name}"
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", video, "-i", reference]
        subprocess.run([*ffmpeg, "-lavfi", by_order + measure, "-an", "-f", "null", "-"], check=True)
        return float(json.load(log)["pooled_metrics"]["vmaf"]["mean"])


def _write_lossless(workload: Workload, shown: Shown, out: Path, *, straight: bool) -> None:
    profile = workload.request["profile"]
    size = (profile["width"], profile["height"])
    with av.open(str(out), "w") as made:
        encoder = made.add_stream("libx264", rate=30, options={"preset": "ultrafast", "qp": "0"})
        encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
        encoder.codec_context.thread_count = 2
        place = 0
        for line in workload.lines:
            frames = (line["end_ms"] - line["start_ms"]) * 30 // 1000
            numbers = [origin.frame for origin in shown[place : place + frames] if origin is not None]
            pictures = _pictures(
                workload.root / line["candidates"][0]["uri"], numbers, size, straight=straight
            )
            for number, picture in enumerate(pictures, start=place):
                picture.pts, picture.time_base = number, Fraction(1, 30)
                picture.pict_type = PictureType.NONE
                made.mux(encoder.encode(picture))
            place += frames
        made.mux(encoder.encode(None))


def _pictures(
    source: Path, numbers: Sequence[int], size: tuple[int, int], *, straight: bool
) -> Iterator[av.VideoFrame]:
    """The pictures of these frames of a source, in order; a number may come several times."""
    sample = next(sample for sample in SAMPLES if sample.file == source.name)
    graph: Graph | None = None
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        base = Fraction(stream.time_base or 0)
        start = stream.start_time or 0
        container.seek(
            start + int(min(numbers) / sample.fps / base) - int(Fraction(1, 2) / base), stream=stream
        )
        for frame in container.decode(stream):
            number = round((frame.pts - start) * base * sample.fps) if frame.pts is not None else -1
            times = numbers.count(number)
            if times:
                graph = graph or _scaling(frame, size, straight=straight)
                graph.vpush(frame)
                picture = graph.vpull()
                for _ in range(times):
                    yield picture
            if number >= max(numbers):
                return


def _scaling(frame: av.VideoFrame, size: tuple[int, int], *, straight: bool) -> Graph:
    graph = Graph()
    width, height = size
    step = graph.add(
        "buffer", f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000"
    )
    within_a_pixel = abs(frame.width * height / frame.height - width) <= 1
    scaling = ("scale", f"{width}:{height}")
    if not (straight and within_a_pixel):
        scaling = ("scale", f"{width}:{height}:force_original_aspect_ratio=increase")
    for name, options in (scaling, ("crop", f"{width}:{height}"), ("format", "yuv420p"), ("buffersink", "")):
        following = graph.add(name, options)
        step.link_to(following)
        step = following
    graph.configure()
    return graph
