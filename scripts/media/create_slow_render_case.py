"""Writes the slow render case: 60 lines over all six samples, enough work to watch it being done.

python scripts/media/create_slow_render_case.py [--out media/slow_render_case.json]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finished_file import make_file
from lyrics import LYRICS
from sample_table import SAMPLES, SONG, Sample

DEFAULT_OUT = Path(__file__).resolve().parents[2] / "media" / "slow_render_case.json"
SPREAD_MS = 7919
"""How far apart the moments of following lines are; a prime, so that few of them fall on a keyframe."""
SPARE_MS = 1000
"""What is left of a source behind the latest moment."""


def slow_render_case() -> dict[str, Any]:
    """The request, as contract says; each line has two candidates, of two sources."""
    return {
        "type": "mix-request",
        "mix_id": "slow-render-case",
        "priority": 5,
        "song": {"uri": f"media/samples/{SONG.file}", "offset_ms": 0},
        "profile": {"width": 1280, "height": 720, "fps": "30", "fit": "crop", "quality": "standard"},
        "gaps": {"policy": "extend", "max_extend_ms": 4000},
        "subtitles": {"burn_in": False, "sidecar": ["srt"]},
        "lines": [_line(index, text) for index, text in enumerate(LYRICS)],
    }


def as_text(case: dict[str, Any]) -> str:
    """The request as it is committed: a line of the file for each lyric line."""
    head = {key: value for key, value in case.items() if key != "lines"}
    lines = ",\n  ".join(json.dumps(line, ensure_ascii=False) for line in case["lines"])
    fields = "".join(f' "{key}": {json.dumps(value)},\n' for key, value in head.items())
    return f'{{\n{fields} "lines": [\n  {lines}\n ]\n}}\n'


def _line(index: int, text: str) -> dict[str, Any]:
    first, second = (
        SAMPLES[index % len(SAMPLES)],
        SAMPLES[(index + 1 + index // len(SAMPLES) % 5) % len(SAMPLES)],
    )
    return {
        "line_id": str(index + 1),
        "text": text,
        "start_ms": index * SONG.line_ms,
        "end_ms": (index + 1) * SONG.line_ms,
        "candidates": [_candidate(first, index, rank=1), _candidate(second, index + len(LYRICS), rank=2)],
    }


def _candidate(sample: Sample, step: int, *, rank: int) -> dict[str, Any]:
    latest = sample.seconds * 1000 - SONG.line_ms - SPARE_MS
    start_ms = step * SPREAD_MS % latest
    return {
        "video_id": sample.name,
        "uri": f"media/samples/{sample.file}",
        "start_ms": start_ms,
        "end_ms": start_ms + SONG.line_ms,
        "rank": rank,
    }


def _write(path: Path) -> None:
    path.write_text(as_text(slow_render_case()), encoding="utf-8")


def _check(path: Path) -> None:
    if json.loads(path.read_text(encoding="utf-8")) != slow_render_case():
        raise ValueError(f"{path} does not read back as it was written")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="where to (default: the one in media)")
    out = parser.parse_args(arguments).out
    make_file(out, _write, _check)
    print(f"{out}: {len(LYRICS)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
