"""Makes the placeholder: 3 s of black, 1280x720 at 30 fps, H.264 yuv420p, the same bytes every time.

python scripts/media/create_placeholder_clip.py [--out media/fallback/clip_placeholder.mp4]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import av
from finished_file import make_file

DEFAULT_OUT = Path(__file__).resolve().parents[2] / "media" / "fallback" / "clip_placeholder.mp4"
WIDTH, HEIGHT, FPS, FRAMES = 1280, 720, 30, 90
BLACK, NEUTRAL = 16, 128
"""Luma and chroma of black in limited range."""
BT709, LIMITED = 1, 1


class PlaceholderError(Exception):
    """The file that was made is not the placeholder."""


def make_placeholder(path: Path) -> None:
    """Writes the file at once; use `create_placeholder` for one that is whole or not there."""
    black = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, value in zip(black.planes, (BLACK, NEUTRAL, NEUTRAL), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    with av.open(path, "w", options={"fflags": "+bitexact", "movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        coder = stream.codec_context
        coder.thread_count = 1  # the same bytes on every machine
        coder.colorspace = coder.color_primaries = coder.color_trc = BT709
        coder.color_range = LIMITED
        for number in range(FRAMES):
            black.pts = number
            container.mux(stream.encode(black))
        container.mux(stream.encode(None))


def check_placeholder(path: Path) -> None:
    """Reads the file back, every pixel of it.

    Raises:
        PlaceholderError: it is not 90 frames of black of the right size at times k/30.
        av.FFmpegError: it is no media file.
        OSError: it cannot be read.
    """
    with av.open(path) as container:
        if [stream.type for stream in container.streams] != ["video"]:
            raise PlaceholderError(f"{path} does not hold one video stream and nothing else")
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
    times = [frame.pts * (frame.time_base or 0) * FPS for frame in frames if frame.pts is not None]
    if times != list(range(FRAMES)):
        raise PlaceholderError(
            f"{path} has {len(frames)} frames at {times} thirtieths of a second, not {FRAMES}"
        )
    for number, frame in enumerate(frames):
        if (frame.width, frame.height, frame.format.name) != (WIDTH, HEIGHT, "yuv420p"):
            raise PlaceholderError(f"{path}: frame {number} is {frame}")
        shades = tuple(set(bytes(plane)) for plane in frame.planes)
        if shades != ({BLACK}, {NEUTRAL}, {NEUTRAL}):
            raise PlaceholderError(f"{path}: frame {number} is not black throughout")


def create_placeholder(path: Path) -> None:
    """Makes the placeholder at `path`, or leaves that as it was.

    Raises:
        PlaceholderError: what was made is not the placeholder.
    """
    make_file(path, make_placeholder, check_placeholder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="where to (default: the one in media/fallback)"
    )
    out = parser.parse_args(arguments).out
    create_placeholder(out)
    print(f"{out}: {FRAMES} black frames, {WIDTH}x{HEIGHT}, {FPS} fps, {out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
