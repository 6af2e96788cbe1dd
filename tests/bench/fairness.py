"""What a long mix costs a short one that comes after it: 5 lines alone, and behind 1,000."""

from itertools import cycle, islice
from typing import Any

from sources import Workload
from stack import Place, render, send

LONG, SHORT = 1_000, 5


def measure(place: Place, workload: Workload, name: str) -> tuple[float, float]:
    """Seconds of the short mix alone, and behind a long one that is cancelled afterwards."""
    place.forget_clips()
    alone = render(place, _mix(workload, f"{name}-alone", SHORT, shift_ms=100)).wall_s
    long_id = f"{name}-long"
    send(place, _mix(workload, long_id, LONG, shift_ms=0))
    try:
        return alone, render(place, _mix(workload, f"{name}-beside", SHORT, shift_ms=200)).wall_s
    finally:
        send(place, {"type": "mix-cancel", "mix_id": long_id})


def _mix(workload: Workload, mix_id: str, lines: int, shift_ms: int) -> dict[str, Any]:
    """So many lines like the workload's; those with other shifts have other clips."""
    length_ms = workload.lines[-1]["end_ms"]
    rounds = (
        _moved(line, position // len(workload.lines), length_ms, shift_ms)
        for position, line in enumerate(islice(cycle(workload.lines), lines))
    )
    kept = {key: value for key, value in workload.request.items() if key != "song"}
    return {**kept, "mix_id": mix_id, "lines": list(rounds)}


def _moved(line: dict[str, Any], turn: int, length_ms: int, shift_ms: int) -> dict[str, Any]:
    best = line["candidates"][0]
    start_ms = best["start_ms"] + shift_ms + turn
    return {
        "text": line["text"],
        "start_ms": line["start_ms"] + turn * length_ms,
        "end_ms": line["end_ms"] + turn * length_ms,
        "candidates": [{**best, "start_ms": start_ms, "end_ms": start_ms + 3000}],
    }
