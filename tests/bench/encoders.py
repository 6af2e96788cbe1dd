"""Tries x264 settings against one another: CPU, bits and VMAF of the same pictures.

    python tests/bench/encoders.py [--lines N] [--rounds N]

CPU and bits are relative to x264's veryfast crf 23; CPU is measured in turn with it, clip by clip, and the
median of the clips counts.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import av
import imageio_ffmpeg
from av.video.frame import PictureType
from bare_loop import Job, jobs
from sources import Workload, slow_case

from stream_app.clip.encoding import encoder_options
from stream_app.cutting.picture import Painter
from stream_app.settings import default_home
from topics.profile import RenderProfile

CACHE = default_home().parent / "clipfold-bench"
REFERENCE = {"preset": "veryfast", "crf": "23"}


def fast(crf: str, params: str) -> dict[str, str]:
    """Veryfast with some of its settings changed."""
    return {"preset": "veryfast", "crf": crf, "x264-params": params}


CANDIDATES: dict[str, dict[str, str]] = {
    "veryfast crf 23": REFERENCE,
    "superfast crf 23": {"preset": "superfast", "crf": "23"},
    "no B-frames": fast("23", "bframes=0"),
    "no B-frames, subme 1": fast("23.5", "bframes=0:subme=1"),
    "no B-frames, subme 1, dia": fast("23.5", "bframes=0:subme=1:me=dia"),
    "no B-frames, subme 1, dia, no partitions": fast("23.5", "bframes=0:subme=1:me=dia:partitions=none"),
    "no B-frames, subme 1, dia, i8x8": fast("23.5", "bframes=0:subme=1:me=dia:partitions=i8x8"),
    "... without lookahead": fast("23.5", "bframes=0:subme=1:me=dia:partitions=i8x8:rc-lookahead=0:mbtree=0"),
    "... without weighted P": fast("23.5", "bframes=0:subme=1:me=dia:partitions=i8x8:weightp=0"),
    "... one B-frame": fast("23.5", "bframes=1:b-adapt=0:subme=1:me=dia:partitions=i8x8"),
    "... two B-frames": fast("23.5", "bframes=2:b-adapt=0:subme=1:me=dia:partitions=i8x8"),
    "... three B-frames, adaptive": fast("23.5", "bframes=3:b-adapt=1:subme=1:me=dia:partitions=i8x8"),
    "... two B-frames, lookahead 5, crf 22.5": fast(
        "22.5", "bframes=2:b-adapt=0:rc-lookahead=5:subme=1:me=dia:partitions=i8x8"
    ),
    "... two B-frames, no i8x8": fast("23.5", "bframes=2:b-adapt=0:subme=1:me=dia:partitions=none"),
}


@dataclass
class Found:
    """What one setting gave, clip by clip: CPU over that of the reference, bytes, and VMAF."""

    cpu: list[float] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    vmaf: list[float] = field(default_factory=list)


def pictures(job: Job, profile: RenderProfile) -> list[av.VideoFrame]:
    """The pictures of a clip, painted and ready to be encoded."""
    wanted, made = set(job.pts), []
    with av.open(str(job.order.source.path)) as source:
        stream = source.streams.video[0]
        painter = Painter(profile, stream.sample_aspect_ratio)
        source.seek(job.pts[0], stream=stream)
        for frame in source.decode(stream):
            if frame.pts in wanted:
                times = job.pts.count(frame.pts)
                made += [painter.paint(frame)] * times
            if len(made) == len(job.pts):
                break
    return made


def encode(
    shown: Sequence[av.VideoFrame], profile: RenderProfile, options: dict[str, str], out: Path
) -> float:
    """Write a clip; CPU seconds that it took."""
    started = time.process_time()
    with av.open(str(out), "w", format="mp4") as made:
        stream = made.add_stream("libx264", rate=profile.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = profile.width, profile.height, "yuv420p"
        stream.codec_context.bit_rate = 0
        for number, picture in enumerate(shown):
            picture.pts, picture.time_base = number, 1 / profile.rate
            picture.pict_type = PictureType.NONE
            made.mux(stream.encode(picture))
        made.mux(stream.encode(None))
    return time.process_time() - started


def vmaf(video: Path, reference: Path) -> float:
    """Mean VMAF of a clip against its lossless twin."""
    with tempfile.NamedTemporaryFile(suffix=".json") as log:
        measure = f"[0:v][1:v]libvmaf=n_threads=2:log_fmt=json:log_path={log.name}"
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", video, "-i", reference]
        subprocess.run([*ffmpeg, "-lavfi", measure, "-f", "null", "-"], check=True)
        return float(json.load(log)["pooled_metrics"]["vmaf"]["mean"])


def options_of(candidate: dict[str, str], profile: RenderProfile) -> dict[str, str]:
    """A candidate with all that every clip has."""
    common = {name: value for name, value in encoder_options(profile).items() if name not in _PER_QUALITY}
    return common | candidate


_PER_QUALITY = ("preset", "crf", "x264-params")


def spread(workload: Workload, lines: int, profile: RenderProfile) -> Iterator[Job]:
    """`lines` jobs from all over the workload."""
    found = jobs(workload, profile)
    yield from found[:: max(1, len(found) // lines)][:lines]


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=6, help="clips of the slow case (default 6)")
    parser.add_argument("--rounds", type=int, default=2, help="encodings of each (default 2)")
    chosen = parser.parse_args()
    workload = slow_case(CACHE / "sources")
    profile = RenderProfile(**workload.request["profile"])
    found = {name: Found() for name in CANDIDATES}
    with tempfile.TemporaryDirectory() as folder:
        clip, lossless = Path(folder) / "clip.mp4", Path(folder) / "lossless.mp4"
        for job in spread(workload, chosen.lines, profile):
            shown = pictures(job, profile)
            encode(shown, profile, {"preset": "ultrafast", "qp": "0"}, lossless)
            for name, candidate in CANDIDATES.items():
                ratios = []
                for _ in range(chosen.rounds):
                    base = encode(shown, profile, options_of(REFERENCE, profile), clip)
                    ratios.append(encode(shown, profile, options_of(candidate, profile), clip) / base)
                found[name].cpu.append(median(ratios))
                found[name].size.append(clip.stat().st_size)
                found[name].vmaf.append(vmaf(clip, lossless))
    sys.stdout.write("| x264 | CPU | bits | VMAF | worst clip |\n|---|---|---|---|---|\n")
    reference = sum(found["veryfast crf 23"].size)
    for name, each in found.items():
        bits = sum(each.size) / reference
        quality = f"{mean(each.vmaf):.2f} | {min(each.vmaf):.2f}"
        sys.stdout.write(f"| {name} | {median(each.cpu):.2f} | {bits:.2f} | {quality} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
