"""The rival that counts: the best shell script that one can write by hand for the same job.

`xargs -P$(nproc)` runs one single-threaded ffmpeg per clip (input seeking, the recipe that is exact, x264
veryfast crf 23, fragmented MP4), then the concat demuxer joins the clips and copies the song beside them.
"""

import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
from sources import Workload

FILTERS = (
    "setpts=PTS-STARTPTS,bwdif=mode=send_frame:deint=interlaced,fps={fps},scale=w=iw*sar:h=ih,"
    "scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1,"
    "setfield=prog,format=yuv420p"
)
ENCODER = "-c:v libx264 -preset veryfast -crf 23 -threads 1"


def builds() -> dict[str, str]:
    """The ffmpeg builds that there are."""
    found = {"static": imageio_ffmpeg.get_ffmpeg_exe(), "system": shutil.which("ffmpeg")}
    return {name: path for name, path in found.items() if path}


@dataclass(frozen=True)
class Script:
    """A script that was written; `run` makes `video`."""

    path: Path
    video: Path

    def run(self) -> Path:
        """Make the video anew."""
        for old in self.path.parent.glob("*.mp4"):
            old.unlink()
        subprocess.run(["sh", str(self.path)], check=True, stderr=subprocess.DEVNULL)
        return self.video


def write_script(workload: Workload, ffmpeg: str, folder: Path) -> Script:
    """Write the script for a workload into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = [folder / f"{number:03}.mp4" for number in range(len(workload.lines))]
    jobs = [_command(workload, line, ffmpeg, clip) for line, clip in zip(workload.lines, clips, strict=True)]
    (folder / "jobs").write_text("".join(f"{job}\n" for job in jobs))
    (folder / "list").write_text("".join(f"file '{clip}'\n" for clip in clips))
    script = Script(folder / "render.sh", folder / "video.mp4")
    song = workload.root / workload.request["song"]["uri"]
    script.path.write_text(
        f"set -e\n"
        f"xargs -P$(nproc) -d '\\n' -I@ sh -c @ < {folder}/jobs\n"
        f"{ffmpeg} -v error -nostdin -y -f concat -safe 0 -i {folder}/list -i {song}"
        f" -map 0:v -map 1:a -c copy -movflags +faststart {script.video}\n"
    )
    return script


def _command(workload: Workload, line: dict[str, Any], ffmpeg: str, clip: Path) -> str:
    profile, best = workload.request["profile"], line["candidates"][0]
    source = workload.root / best["uri"]
    seek = max(0.0, best["start_ms"] / 1000 - float(1 / (2 * _rate(source))))
    filters = FILTERS.format(**profile)
    frames = (line["end_ms"] - line["start_ms"]) * int(profile["fps"]) // 1000
    return (
        f"{ffmpeg} -v error -nostdin -y -threads 1 -ss {seek:.6f} -i {source} -map 0:V:0 -an"
        f" -filter_threads 1 -vf '{filters}' -frames:v {frames} {ENCODER}"
        f" -movflags +frag_keyframe+empty_moov+default_base_moof {clip}"
    )


def _rate(source: Path) -> Fraction:
    with av.open(str(source)) as container:
        rate = container.streams.video[0].average_rate
    if rate is None:
        raise ValueError(f"{source} does not tell its frame rate")
    return Fraction(rate)
