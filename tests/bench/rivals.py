"""The tools that people would otherwise take, each doing the same job as well as it can."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from sources import Workload

MOVIEPY = "moviepy==2.2.1"
AUTO_EDITOR = "auto-editor==29.3.1"
INSTALL_TIMEOUT_S = 300

MOVIEPY_SCRIPT = """
import json, sys
from moviepy import AudioFileClip, VideoFileClip, concatenate_videoclips
job = json.load(sys.stdin)
width, height = job["width"], job["height"]
clips = []
for cut in job["cuts"]:
    source = VideoFileClip(cut["source"], audio=False, target_resolution=tuple(cut["cover"]))
    span = source.subclipped(cut["start"], cut["start"] + cut["seconds"])
    clips.append(span.cropped(width=width, height=height, x_center=span.w / 2, y_center=span.h / 2))
video = concatenate_videoclips(clips).with_audio(AudioFileClip(job["song"]))
video.write_videofile(job["out"], fps=job["fps"], codec="libx264", preset="veryfast", threads=job["threads"],
                      audio_codec="aac", ffmpeg_params=["-crf", "23"], logger=None)
"""


@dataclass(frozen=True)
class Rival:
    """A tool; `missing` says why it cannot be measured here, else `run` makes the video at a path."""

    name: str
    missing: str | None
    run: Callable[[Workload, Path], None]


def rivals(cache: Path) -> list[Rival]:
    """MoviePy and auto-editor, installed into `cache`, and the machine's melt."""
    return [
        Rival("MoviePy 2.2.1", _install(cache / "moviepy", MOVIEPY, "import moviepy"), _moviepy(cache)),
        Rival("melt (MLT)", None if shutil.which("melt") else "no melt on this machine", _melt),
        Rival("auto-editor 29.3.1", _auto_editor(cache / "auto-editor"), _no_job),
    ]


def _install(venv: Path, package: str, proof: str) -> str | None:
    """Why a package is not there after an attempt to install it; None when it is."""
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    for command in (install, [python, "-c", proof]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["it failed"])[-1]
    return None


def _auto_editor(venv: Path) -> str | None:
    missing = _install(venv, AUTO_EDITOR, "import auto_editor")
    if missing is None:
        done = subprocess.run(
            [venv / "bin" / "auto-editor", "--version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode or "Error" in done.stdout + done.stderr:
            return "its package fetches a program from GitHub when it first runs: not to be had here"
    # It cuts one file by its silences; spans of many files over a song are none of its commands.
    return missing or "it has no command for this job"


def _moviepy(cache: Path) -> Callable[[Workload, Path], None]:
    def run(workload: Workload, out: Path) -> None:
        profile = workload.request["profile"]
        order = {
            **{key: profile[key] for key in ("width", "height")},
            "fps": int(profile["fps"]),
            "threads": 2,
            "song": str(workload.root / workload.request["song"]["uri"]),
            "out": str(out),
            "cuts": [_moviepy_cut(workload, line) for line in workload.lines],
        }
        subprocess.run(
            [cache / "moviepy" / "bin" / "python", "-c", MOVIEPY_SCRIPT],
            input=json.dumps(order),
            text=True,
            check=True,
            cwd=out.parent,
            stderr=subprocess.DEVNULL,
        )

    return run


def _moviepy_cut(workload: Workload, line: dict[str, Any]) -> dict[str, Any]:
    profile, best = workload.request["profile"], line["candidates"][0]
    source = workload.root / best["uri"]
    with av.open(str(source)) as container:
        width, height = container.streams.video[0].width, container.streams.video[0].height
    factor = max(profile["width"] / width, profile["height"] / height)
    return {
        "source": str(source),
        "start": best["start_ms"] / 1000,
        "seconds": (line["end_ms"] - line["start_ms"]) / 1000,
        "cover": [round(width * factor), round(height * factor)],
    }


def _melt(workload: Workload, out: Path) -> None:
    fps = int(workload.request["profile"]["fps"])
    cuts: list[str] = []
    for line in workload.lines:
        best = line["candidates"][0]
        first = round(best["start_ms"] * fps / 1000)
        last = first + (line["end_ms"] - line["start_ms"]) * fps // 1000 - 1
        cuts += [str(workload.root / best["uri"]), "audio_index=-1", f"in={first}", f"out={last}"]
        cuts += ["-attach-clip", "crop", "center=1"]
    song = [str(workload.root / workload.request["song"]["uri"]), f"out={workload.frames - 1}"]
    encoder = [
        "vcodec=libx264",
        "preset=veryfast",
        "crf=23",
        "acodec=aac",
        "ab=192k",
        "threads=2",
        "real_time=-2",
    ]
    subprocess.run(
        [
            "melt",
            "-profile",
            "atsc_720p_30",
            *cuts,
            "-track",
            *song,
            "-consumer",
            f"avformat:{out}",
            *encoder,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _no_job(_workload: Workload, _out: Path) -> None:
    raise NotImplementedError
