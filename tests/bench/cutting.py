"""Measures cutting against the best hand-written script and prints a table.

    python tests/bench/cutting.py [--quick] [--rounds N] [--only PART ...] [--write]

Nothing here is a test: what is measured depends on the machine and on what else it does. Everything is
measured in turn (ours, theirs, ours, theirs ...), and a ratio is the median of the ratios of such pairs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import unquote, urlsplit

import fairness
import scaling
from baseline import Script, builds, write_script
from processes import MB, PeakMemory, cpu_s
from quality import origins, right_frames, vmaf
from report import PAGE, Figure, as_text, at_least, at_most, machine, write_table
from rivals import rivals
from sources import ROOT, Workload, slow_case, small_source
from stack import Place, Rendered, kafka, render, workers

from stream_app.settings import default_home

CACHE = default_home().parent / "clipfold-bench"
SLOTS = 4
CUTTING_PROCESS = "stream_app.cutting.child"
STANDING_S = 20
QUICK_LINES = 12


def say(text: str = "") -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass
class Bench:
    """What every part needs, and what it found."""

    workload: Workload
    folder: Path
    rounds: int
    quick: bool
    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """Note a figure and show it."""
        self.figures.append(figure)
        say(f"   {figure.name}: {figure.measured} (must {figure.must or 'nothing'})  [{figure.how}]")


@dataclass
class Round:
    """One turn: each of them once."""

    script_s: float
    script_cpu_s: float
    cold: Rendered
    cold_cpu_s: float
    beside_cpu_s: float
    again_s: float
    revised_s: float | None


def clocked(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of child processes that `work` starts and waits for."""
    before, started = _children_cpu_s(), time.monotonic()
    work()
    return time.monotonic() - started, _children_cpu_s() - before


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def cutting_and_codecs_cpu_s(workload: Workload, rounds: int) -> tuple[float, float]:
    """CPU seconds of the clips as a cutting process makes them, and of their codecs alone; on every core."""
    cores, parts = os.cpu_count() or 1, []
    for core in range(cores):
        request = {**workload.request, "lines": workload.lines[core::cores]}
        script = Path(__file__).parent / "bare_loop.py"
        command = [sys.executable, str(script), str(workload.root), str(rounds)]
        part = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        parts.append((part, json.dumps(request)))
    for part, request in parts:
        if part.stdin:
            part.stdin.write(request)
            part.stdin.close()
    costs = [json.loads(part.stdout.read()) for part, _ in parts if part.stdout and not part.wait()]
    return sum(cost["ours_s"] for cost in costs), sum(cost["bare_s"] for cost in costs)


def beside_cpu_s(pid: int) -> float:
    """CPU seconds of a worker but for its cutting processes: Kafka, events, song and join."""
    return cpu_s(pid, without=CUTTING_PROCESS)


def standing_cpu(pid: int) -> float:
    """CPU seconds a second of a worker that has nothing to do."""
    before = beside_cpu_s(pid)
    time.sleep(STANDING_S)
    return (beside_cpu_s(pid) - before) / STANDING_S


def video_of(rendered: Rendered) -> Path:
    """The file of a finished mix."""
    return Path(unquote(urlsplit(rendered.end["uri"]).path))


def warm_up(place: Place, workload: Workload, name: str) -> None:
    """Have every slot cut something, of every source, that is not clocked afterwards."""
    lines = [_shifted(line, 333) for line in workload.lines[: 2 * SLOTS]]
    render(place, {**workload.request, "mix_id": name, "lines": lines})


def _shifted(line: dict[str, Any], by_ms: int) -> dict[str, Any]:
    best = line["candidates"][0]
    moved = {"start_ms": best["start_ms"] + by_ms, "end_ms": best["end_ms"] + by_ms}
    return {**line, "candidates": [{**best, **moved}]}


def revision(workload: Workload, mix_id: str) -> dict[str, Any]:
    """A revision that gives one line another moment of its source."""
    changed = _shifted(workload.lines[len(workload.lines) // 2], 500)
    return {"type": "mix-revise", "mix_id": mix_id, "lines": [changed]}


def measure_walls(bench: Bench, bootstrap: str) -> None:
    """Wall, repeat, revision, CPU and quality, all from the same turns."""
    workload, place = bench.workload, Place(bootstrap, bench.folder / "walls", bench.workload.root)
    script = fastest_script(bench)
    ids = (f"bench-{int(time.time())}-{number}" for number in count())
    with workers(place, slots=SLOTS) as (worker,):
        warm_up(place, workload, next(ids))
        turns = [_turn(place, workload, script, worker.pid, ids) for _ in range(bench.rounds)]
        standing = standing_cpu(worker.pid)
    walls = [turn.cold.wall_s / turn.script_s for turn in turns]
    lines = len(workload.lines)
    times = ", ".join(f"{t.cold.wall_s:.1f}/{t.script_s:.1f}" for t in turns)
    bench.add(
        at_most(
            "wall against the script", 0.75, median(walls), f"{lines} clips; seconds, ours/script: {times}"
        )
    )
    cpu = median(turn.cold_cpu_s / turn.script_cpu_s for turn in turns)
    bench.add(Figure("CPU against the script", "", f"{cpu:.2f}", None, _cpu_times(turns)))
    again = median(turn.again_s / turn.cold.wall_s for turn in turns)
    seconds = ", ".join(f"{turn.again_s:.2f}" for turn in turns)
    bench.add(at_most("the same mix again", 0.10, again, f"against its own cold run; {seconds} s"))
    revised = [(turn.revised_s, turn.cold.wall_s) for turn in turns if turn.revised_s is not None]
    if revised:
        seconds = ", ".join(f"{wall:.2f}" for wall, _ in revised)
        ratio = median(wall / cold for wall, cold in revised)
        bench.add(at_most("one line changed", 0.10, ratio, f"mix-revise, against its cold run; {seconds} s"))
    _measure_beyond_codecs(bench, turns, standing)
    _measure_quality(bench, video_of(turns[-1].cold), script)


def _measure_beyond_codecs(bench: Bench, turns: Sequence[Round], standing: float) -> None:
    """What a clip costs beyond decoding, scaling and encoding it, wherever in a worker that is."""
    ours_s, codecs_s = cutting_and_codecs_cpu_s(bench.workload, max(2, bench.rounds))
    each = 1000 / len(bench.workload.lines)
    cutting = (ours_s - codecs_s) * each
    beside = median(turn.beside_cpu_s - standing * turn.cold.wall_s for turn in turns) * each
    how = (
        f"cutting process {cutting:.1f}, clip by clip in turn with a bare PyAV loop that decodes, scales and"
        f" encodes the same frames ({codecs_s * each:.0f}); Kafka, events, song and join {beside:.1f}, less"
        f" what a worker takes that stands idle ({standing:.1%} of a core)"
    )
    bench.add(at_most("CPU per clip beyond the codecs", 15, cutting + beside, how, " ms"))


def _cpu_times(turns: Sequence[Round]) -> str:
    return "seconds, ours/script: " + ", ".join(f"{t.cold_cpu_s:.1f}/{t.script_cpu_s:.1f}" for t in turns)


def _turn(place: Place, workload: Workload, script: Script, pid: int, ids: Iterator[str]) -> Round:
    script_s, script_cpu_s = clocked(script.run)
    place.forget_clips()
    cold_id = next(ids)
    before, beside_before = cpu_s(pid), beside_cpu_s(pid)
    cold = render(place, workload.named(cold_id))
    cold_cpu_s, beside = cpu_s(pid) - before, beside_cpu_s(pid) - beside_before
    again = render(place, workload.named(next(ids)))
    try:
        revised_s = render(place, revision(workload, cold_id)).wall_s
    except (RuntimeError, TimeoutError) as error:
        say(f"   no revision: {error}")
        revised_s = None
    return Round(script_s, script_cpu_s, cold, cold_cpu_s, beside, again.wall_s, revised_s)


def fastest_script(bench: Bench) -> Script:
    """The script with the build of ffmpeg that is faster here; says which."""
    scripts = {
        name: write_script(bench.workload, ffmpeg, bench.folder / f"script-{name}")
        for name, ffmpeg in builds().items()
    }
    turns = [
        {name: clocked(script.run) for name, script in scripts.items()} for _ in range(min(2, bench.rounds))
    ]
    walls = {name: min(turn[name][0] for turn in turns) for name in scripts}
    best = min(walls, key=lambda name: walls[name])
    seconds = ", ".join(f"{name} {wall:.1f} s" for name, wall in walls.items())
    say(f"   ffmpeg builds: {seconds}; the script uses the {best} one")
    return scripts[best]


def _measure_quality(bench: Bench, ours: Path, script: Script) -> None:
    frames, scores, right = bench.workload.frames, [], []
    for video in (ours, script.video):
        shown = origins(video)
        right.append(right_frames(bench.workload, shown) if len(shown) == frames else 0)
        scores.append(vmaf(video, shown, bench.workload, bench.folder, straight=video == ours))
    how = f"their stamps are read; the script: {right[1]}"
    bench.add(Figure("frames that are the right ones", f"{frames}", f"{right[0]}", right[0] == frames, how))
    sizes = ours.stat().st_size / MB, script.video.stat().st_size / MB
    how = f"mean VMAF: ours {scores[0]:.2f}, script {scores[1]:.2f}; {sizes[0]:.1f} and {sizes[1]:.1f} MB"
    bench.add(at_most("VMAF below the script's", 0.5, max(0.0, scores[1] - scores[0]), how))


def measure_memory(bench: Bench, bootstrap: str) -> None:
    """Peak memory of a worker with all its children, in a run of its own: looking costs time."""
    place = Place(bootstrap, bench.folder / "memory", bench.workload.root)
    with workers(place, slots=SLOTS) as (worker,), PeakMemory(worker.pid) as peak:
        render(place, bench.workload.named(f"bench-memory-{int(time.time())}"))
    how = f"sum of PSS, sampled; the largest child {peak.largest_child / MB:.0f} MB"
    bench.add(at_most(f"memory of a worker, {SLOTS} slots, 720p", 600, peak.total / MB, how, " MB"))


def measure_scaling(bench: Bench, bootstrap: str) -> None:
    """One worker and four, on sources that take a second to answer."""
    file = small_source(CACHE / "small")
    pairs = [
        (
            scaling.measure(bootstrap, bench.folder, file, 1, number),
            scaling.measure(bootstrap, bench.folder, file, 4, number),
        )
        for number in range(1 if bench.quick else bench.rounds)
    ]
    linear = median(one / four / 4 for one, four in pairs)
    seconds = ", ".join(f"{one:.1f}/{four:.1f}" for one, four in pairs)
    how = (
        f"{scaling.CLIPS} clips of 160x90 and 0.5 s, one slot a worker, answers after 1 s; video_ids chosen"
        f" by their hash to lie evenly on the 16 partitions of clip-tasks; seconds {seconds}"
    )
    bench.add(at_least("1 -> 4 workers, of linear", 0.9, linear, how))


def measure_fairness(bench: Bench, bootstrap: str) -> None:
    """A short mix that comes while a long one is being cut."""
    place = Place(bootstrap, bench.folder / "fairness", bench.workload.root)
    with workers(place, slots=SLOTS):
        warm_up(place, bench.workload, f"bench-fair-{int(time.time())}")
        pairs = [
            fairness.measure(place, bench.workload, f"bench-fair-{int(time.time())}-{number}")
            for number in range(bench.rounds)
        ]
    seconds = ", ".join(f"{alone:.1f}/{beside:.1f}" for alone, beside in pairs)
    how = f"against its time alone; seconds, alone/behind: {seconds}"
    name = f"{fairness.SHORT} lines behind {fairness.LONG:,}"
    bench.add(at_most(name, 3, median(beside / alone for alone, beside in pairs), how))


def measure_rivals(bench: Bench, _bootstrap: str) -> None:
    """What else there is, against the script."""
    script = write_script(bench.workload, builds()["static"], bench.folder / "script-for-rivals")
    script_s, _ = clocked(script.run)
    for number, rival in enumerate(rivals(CACHE)):
        if rival.missing:
            bench.add(Figure(rival.name, "", "not measured", None, rival.missing))
            continue
        video = bench.folder / f"rival-{number}.mp4"
        wall_s, rival_cpu_s = clocked(lambda rival=rival, video=video: rival.run(bench.workload, video))
        shown = origins(video)
        right = right_frames(bench.workload, shown)
        how = (
            f"wall against the script; {wall_s:.1f} s, CPU {rival_cpu_s:.1f} s; {len(shown)} frames, {right}"
            f" of {bench.workload.frames} are the right ones; {video.stat().st_size / MB:.1f} MB"
        )
        bench.add(Figure(rival.name, "", f"{wall_s / script_s:.2f}", None, how))


PARTS: dict[str, Callable[[Bench, str], None]] = {
    "walls": measure_walls,
    "memory": measure_memory,
    "fairness": measure_fairness,
    "scaling": measure_scaling,
    "rivals": measure_rivals,
}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for everything that is made; in memory where there is room, so that no disk is measured."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own is made inside
    with tempfile.TemporaryDirectory(
        prefix="clipfold-bench.", dir=shared if shared.is_dir() else None
    ) as name:
        yield Path(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and print the table; 1 when a figure does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_LINES} lines, one round; under 3 minutes"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each pair (default 3)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts only")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args(arguments)
    where = machine()
    say(where)
    workload = slow_case(CACHE / "sources", QUICK_LINES if chosen.quick else None)
    with scratch() as folder, kafka(folder / "kafka") as bootstrap:
        bench = Bench(workload, folder, 1 if chosen.quick else chosen.rounds, chosen.quick)
        for part in chosen.only:
            say(f"== {part}")
            PARTS[part](bench, bootstrap)
    say()
    say(as_text(bench.figures))
    if chosen.write:
        write_table("cutting", datetime.now(UTC).date().isoformat(), where, bench.figures)
    return int(any(figure.holds is False for figure in bench.figures))


if __name__ == "__main__":
    sys.exit(main())
