"""What is cut: the slow case, its sources made again with a keyframe only every 250 frames."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "media"))

# Found by the line above; whoever else needs one of them takes it from here.
from create_samples import create_samples, song_job, video_job  # noqa: E402
from frame_stamp import Origin, StampError, read_origin  # noqa: E402
from sample_table import SAMPLES, SONG  # noqa: E402

__all__ = ["ROOT", "SAMPLES", "Origin", "StampError", "Workload", "read_origin", "slow_case", "small_source"]

GOP = 250
"""What x264 does when nobody says otherwise, and so what most of the world's files have."""


@dataclass(frozen=True)
class Workload:
    """A mix request whose sources lie under `root`, and the lines that it is cut into.

    Attributes:
        root: the media root; the addresses of the request are relative to it.
        request: as `mix-requests` takes it.
    """

    root: Path
    request: dict[str, Any]

    @property
    def frames(self) -> int:
        """Frames of its video: it has no gaps, and its song is no longer than its lines."""
        return int(self.lines[-1]["end_ms"]) * int(self.request["profile"]["fps"]) // 1000

    def named(self, mix_id: str) -> dict[str, Any]:
        """The same request as another mix."""
        return {**self.request, "mix_id": mix_id}

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its lyric lines."""
        lines: list[dict[str, Any]] = self.request["lines"]
        return lines


def slow_case(folder: Path, lines: int | None = None) -> Workload:
    """`media/slow_render_case.json` over sources of GOP 250, made in `folder` when they are not there.

    Args:
        folder: where sources are kept from run to run.
        lines: only the first so many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    create_samples([*(video_job(replace(sample, gop=GOP)) for sample in SAMPLES), song_job()], folder)
    request = json.loads((ROOT / "media" / "slow_render_case.json").read_text())
    request["lines"] = [_local(line) for line in request["lines"][:lines]]
    request["song"]["uri"] = _song(folder, int(request["lines"][-1]["end_ms"]))
    return Workload(folder, request)


def _song(folder: Path, until_ms: int) -> str:
    """The song, or its beginning: a video is as long as its song."""
    if until_ms >= SONG.duration_ms:
        return SONG.file
    short = folder / f"song-{until_ms}.m4a"
    if not short.exists():
        cut = ["-v", "error", "-nostdin", "-y", "-t", f"{(until_ms - 40) / 1000}", "-i", folder / SONG.file]
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *cut, "-c", "copy", short], check=True)
    return short.name


def _local(line: dict[str, Any]) -> dict[str, Any]:
    # One candidate: what is measured is cutting, not falling through.
    best = dict(line["candidates"][0])
    best["uri"] = Path(best["uri"]).name
    return {**line, "candidates": [best]}


def small_source(folder: Path) -> Path:
    """A source of 160x90 and two seconds, made in `folder` when it is not there."""
    sample = replace(SAMPLES[1], width=160, height=90, seconds=2, sound=None)
    folder.mkdir(parents=True, exist_ok=True)
    create_samples([video_job(sample)], folder)
    return folder / sample.file
