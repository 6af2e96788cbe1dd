"""CPU of decoding, scaling and encoding the frames of a workload, and of nothing else.

What a clip costs beyond this is ours: index, checks, hashes, files, processes, Kafka, Python.

    python tests/bench/bare_loop.py < request.json      (prints CPU seconds)
"""

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType
from sources import Workload

from stream_app.clip.encoding import encoder_options
from stream_app.cutting.frame_choice import SourceClock, choose_frames
from stream_app.cutting.picture import Painter
from topics.profile import RenderProfile


@dataclass(frozen=True)
class Job:
    """A line to be cut: which pts of `source` to show, one for each output frame."""

    source: Path
    pts: tuple[int, ...]


def jobs(workload: Workload, rate: Fraction) -> list[Job]:
    """The lines of a workload, with their frames chosen."""
    clocks: dict[str, SourceClock] = {}
    found = []
    for line in workload.lines:
        best = line["candidates"][0]
        source = workload.root / best["uri"]
        clock = clocks.setdefault(best["uri"], _clock(source))
        frames = int((line["end_ms"] - line["start_ms"]) * rate) // 1000
        found.append(Job(source, choose_frames(clock, best["start_ms"], frames, 0, rate).pts))
    return found


def _clock(source: Path) -> SourceClock:
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        pts = sorted(p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard)
        return SourceClock(
            pts, pts[-1] + min(b - a for a, b in pairwise(pts)), Fraction(stream.time_base or 0)
        )


def run(job: Job, profile: RenderProfile, out: Path) -> None:
    """Decode, scale, encode."""
    wanted = set(job.pts)
    with av.open(str(job.source)) as source, av.open(str(out), "w", format="mp4") as made:
        stream = source.streams.video[0]
        stream.codec_context.thread_count = 1
        skips = stream.codec_context.name == "h264"
        painter = Painter(profile, stream.sample_aspect_ratio)
        encoder = made.add_stream("libx264", rate=profile.rate, options=encoder_options(profile))
        encoder.width, encoder.height, encoder.pix_fmt = profile.width, profile.height, "yuv420p"
        encoder.codec_context.bit_rate = 0
        source.seek(job.pts[0], stream=stream)
        shown = 0
        for packet in source.demux(stream):
            if skips:
                needed = packet.pts is None or packet.pts in wanted
                stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
            for frame in packet.decode():
                if frame.pts not in wanted:
                    continue
                times = job.pts.count(frame.pts)
                picture = painter.paint(frame)
                for _ in range(times):
                    picture.pts, picture.time_base = shown, 1 / profile.rate
                    picture.pict_type = PictureType.NONE
                    made.mux(encoder.encode(picture))
                    shown += 1
            if shown == len(job.pts):
                break
        made.mux(encoder.encode(None))


def main() -> None:
    """Read a request on stdin whose root is the first argument; say what it cost."""
    request: dict[str, Any] = json.load(sys.stdin)
    profile = RenderProfile(**request["profile"])
    todo = jobs(Workload(Path(sys.argv[1]), request), profile.rate)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        for job in todo:
            run(job, profile, Path(folder) / "clip.mp4")
        sys.stdout.write(f"{time.process_time() - started}\n")


if __name__ == "__main__":
    main()
