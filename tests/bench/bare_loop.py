"""CPU of the clips of a workload as a cutting process makes them, and of their decoding and encoding alone.

What a clip costs beyond the latter is ours: index, checks, hashes, files. The two take turns from clip to
clip in one process, because what else the machine does makes the same work cost a tenth more or less from
one minute to the next, and what is looked for is a fiftieth.

Each is done several times and its cheapest time counts: whatever else runs only ever adds to it.

    python tests/bench/bare_loop.py ROOT ROUNDS < request.json      (prints the CPU seconds of both, as JSON)
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType
from sources import Workload

from stream_app.clip.encoding import encoder_options
from stream_app.clip.store import ClipStore
from stream_app.cutting.frame_choice import SourceClock, choose_frames
from stream_app.cutting.orders import CutOrder
from stream_app.cutting.picture import Painter
from stream_app.cutting.work import perform
from stream_app.python_gc import spare_what_is_loaded
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile


@dataclass(frozen=True)
class Job:
    """A line to be cut: as a cutting process is told it, and which pts to show, one for each output frame."""

    order: CutOrder
    pts: tuple[int, ...]


def jobs(workload: Workload, profile: RenderProfile) -> list[Job]:
    """The lines of a workload, with their frames chosen."""
    clocks: dict[str, SourceClock] = {}
    found = []
    for line in workload.lines:
        best = line["candidates"][0]
        source = workload.root / best["uri"]
        clock = clocks.setdefault(best["uri"], _clock(source))
        frames = int((line["end_ms"] - line["start_ms"]) * profile.rate) // 1000
        order = CutOrder(SourceFile(source), best["start_ms"], frames, 0, profile)
        found.append(Job(order, choose_frames(clock, best["start_ms"], frames, 0, profile.rate).pts))
    return found


def _clock(source: Path) -> SourceClock:
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        pts = sorted(p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard)
        return SourceClock(
            pts, pts[-1] + min(b - a for a, b in pairwise(pts)), Fraction(stream.time_base or 0)
        )


def bare(job: Job, out: Path) -> None:
    """Decode, scale, encode."""
    profile, wanted = job.order.profile, set(job.pts)
    with av.open(str(job.order.source.path)) as source, av.open(str(out), "w", format="mp4") as made:
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


def _cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Read a request on stdin whose root is the first argument; say what its clips cost in both ways."""
    request: dict[str, Any] = json.load(sys.stdin)
    todo = jobs(Workload(Path(sys.argv[1]), request), RenderProfile(**request["profile"]))
    rounds = int(sys.argv[2])
    spare_what_is_loaded()
    cost = {"ours_s": 0.0, "bare_s": 0.0}
    with tempfile.TemporaryDirectory() as name:
        for number, job in enumerate(todo):
            ours, alone = zip(*(_turn(job, Path(name), number + turn) for turn in range(rounds)), strict=True)
            cost["ours_s"] += min(ours)
            cost["bare_s"] += min(alone)
    sys.stdout.write(json.dumps(cost))


def _turn(job: Job, folder: Path, number: int) -> tuple[float, float]:
    """CPU seconds of our way and of the bare one; who comes first, and finds caches cold, alternates."""
    store = ClipStore(folder / f"clips-{number}")
    ours = partial(perform, job.order, store, "rlimits")
    alone = partial(bare, job, folder / "clip.mp4")
    if number % 2:
        return _cpu_s(ours), _cpu_s(alone)
    alone_s = _cpu_s(alone)
    return _cpu_s(ours), alone_s


if __name__ == "__main__":
    main()
