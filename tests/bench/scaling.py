"""What more workers bring, when the time goes into waiting for servers: 60 small clips of 60 slow sources."""

from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

from aiokafka.partitioner import DefaultPartitioner
from slow_server import slow_server
from stack import Place, render, workers

from topics.registry import CLIP_TASKS

PARTITIONS = CLIP_TASKS.partitions
CLIPS = 60
LINE_MS = 500
ANSWER_AFTER_S = 1.0


def even_names(clips: int = CLIPS) -> list[str]:
    """Names of videos that spread evenly over the partitions of `clip-tasks`, by the hash of their key.

    60 over 16 leaves four partitions one short; those lie on a diagonal, so that each of four workers gets
    15 whichever way the partitions are shared out among them.
    """
    short = {0, 5, 10, 15}
    room = {p: -(-clips // PARTITIONS) - (p in short and clips % PARTITIONS != 0) for p in range(PARTITIONS)}
    names: list[str] = []
    hashed, everywhere = DefaultPartitioner(), list(range(PARTITIONS))
    taken: Counter[int] = Counter()
    for number in count():
        if len(names) == clips:
            return names
        name = f"small-{number}"
        partition = hashed(name.encode(), everywhere, everywhere)
        if taken[partition] < room[partition]:
            taken[partition] += 1
            names.append(name)
    raise AssertionError


def small_mix(mix_id: str, address: str, names: list[str], shift_ms: int) -> dict[str, Any]:
    """A mix of one clip of each source."""
    lines = [
        {
            "text": name,
            "start_ms": number * LINE_MS,
            "end_ms": (number + 1) * LINE_MS,
            "candidates": [
                {
                    "video_id": name,
                    "uri": f"{address}/{name}.mp4",
                    "start_ms": shift_ms + number,
                    "end_ms": shift_ms + number + LINE_MS,
                    "rank": 1,
                }
            ],
        }
        for number, name in enumerate(names)
    ]
    profile = {"width": 160, "height": 90, "fps": "30", "fit": "crop", "quality": "standard"}
    return {"type": "mix-request", "mix_id": mix_id, "profile": profile, "lines": lines}


def measure(bootstrap: str, folder: Path, file: Path, workers_count: int, round_number: int) -> float:
    """Seconds of the mix with so many workers of one slot each, warm, with nothing fetched before."""
    place = Place(bootstrap, folder / f"scaling-{workers_count}-{round_number}", file.parent)
    name = f"small-{workers_count}-{round_number}"
    with (
        slow_server(file, ANSWER_AFTER_S) as address,
        workers(place, workers_count, slots=1, RENDER_ALLOW_CIDRS="127.0.0.0/8"),
    ):
        # Other sources than those that are clocked, one for each partition.
        warm = [f"warm-{each}" for each in even_names(PARTITIONS)]
        render(place, small_mix(f"{name}-warm", address, warm, 700))
        return render(place, small_mix(name, address, even_names(), 0)).wall_s
