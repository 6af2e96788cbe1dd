"""I5: media is what events say, and nothing half-made or still at work is left."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import av
from findings import Findings
from log import Record
from stamp import Stamp, read_stamp, shows
from story import Story, kind, value

KEPT = ("rebased-", "index-")
"""What cutters leave for one another of a source, for an hour; their names begin so."""

SWEPT_AFTER_S = 180
"""What a killed worker was writing may lie about for so long before another one sweeps it."""


def check_media(findings: Findings, stories: Iterable[Story], fps_of_sources: Fraction | None) -> None:
    """Every effective clip and every video is there with the hash, frames and pictures that are told."""
    for story in stories:
        if story.plan is None:
            continue
        lines = {line["clip_task_id"]: line for line in story.lines}
        for task, outcome in story.outcomes.items():
            line = lines[task]
            stamps = _check_file(findings, outcome, line["frames"] + line["extend_frames"])
            if stamps and fps_of_sources and kind(outcome) == "clip-completed":
                rate = Fraction(value(story.plan)["profile"]["fps"])
                _check_pictures(findings, outcome, line, stamps, (rate, fps_of_sources))
        if story.end is not None and story.is_rendered:
            frames = value(story.end)["frames"]
            _check_file(findings, story.end, frames)
            findings.check(
                "I5",
                "wrong",
                story.end.ref,
                f"{frames} frames, {value(story.plan)['total_frames']} are planned",
                holds=frames >= value(story.plan)["total_frames"],
            )


def _check_file(findings: Findings, event: Record, frames: int) -> list[Stamp]:
    """What each frame shows, of a file that is as told."""
    told = value(event)
    path = Path(unquote(urlsplit(told["uri"]).path))
    if not findings.check("I5", "lost", event.ref, f"{path} is not there", holds=path.is_file()):
        return []
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    findings.check("I5", "wrong", event.ref, f"{path} has sha256 {found}", holds=found == told["sha256"])
    findings.check(
        "I5",
        "wrong",
        event.ref,
        f"{path} has {len(content)} bytes",
        holds=told.get("bytes") in (None, len(content)),
    )
    try:
        with av.open(str(path)) as video:
            stamps = [read_stamp(frame) for frame in video.decode(video=0)]
    except (av.FFmpegError, IndexError) as error:
        findings.check("I5", "wrong", event.ref, f"{path} cannot be decoded: {error}", holds=False)
        return []
    exact = len(stamps) == told["frames"] == frames
    findings.check("I5", "wrong", event.ref, f"{path} has {len(stamps)} frames, not {frames}", holds=exact)
    return stamps if exact else []


def _check_pictures(
    findings: Findings,
    outcome: Record,
    line: dict[str, Any],
    stamps: list[Stamp],
    rates: tuple[Fraction, Fraction],
) -> None:
    """Each frame shows the source at its moment; `rates` are frames a second of the mix and of the source."""
    candidate = line["candidates"][value(outcome)["candidate_index"]]
    start = Fraction(candidate["start_ms"], 1000)
    wrong = [
        number
        for number, seen in enumerate(stamps[: line["frames"]])
        if not shows(seen, candidate["video_id"], start + number / rates[0], *rates)
    ]
    message = f"frames {wrong} are not those of {candidate['video_id']} from {candidate['start_ms']} ms on"
    findings.check("I5", "wrong", outcome.ref, message, holds=not wrong)


def check_leftovers(findings: Findings, artifacts: Path) -> None:
    """No clip under a wrong name, no temporary file, no process."""
    for clip in sorted((artifacts / "clips").glob("*.mp4")):
        found = hashlib.sha256(clip.read_bytes()).hexdigest()
        findings.check("I5", "wrong", str(clip), f"it holds {found}", holds=clip.stem == found)
    young = time.time() - SWEPT_AFTER_S
    left = [
        *(
            path
            for path in (artifacts / "clips" / ".tmp").iterdir()
            if path.stat().st_mtime < young and not path.name.startswith(KEPT)
        ),
        *(artifacts / "render_tmp").glob("job_*"),
        *(artifacts / "mixes").glob("*/*/.*"),
        *artifacts.glob(".*.new"),
    ]
    findings.check(
        "I5", "wrong", ", ".join(map(str, left)) or "-", "left over after all has ended", holds=not left
    )
    strays = list(_processes_of(artifacts))
    findings.check(
        "I5", "wrong", ", ".join(strays) or "-", "still at work after all was stopped", holds=not strays
    )


def _processes_of(artifacts: Path) -> Iterator[str]:
    """Whoever has the artifacts folder in its arguments or variables, but for us and who started us."""
    mark = str(artifacts).encode()
    ours = set(_ancestors(os.getpid()))
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) in ours:
            continue
        try:
            arguments = (process / "cmdline").read_bytes()
            said = arguments + (process / "environ").read_bytes()
        except OSError:
            continue
        if mark in said:
            yield f"process {process.name} {arguments[:200].replace(bytes(1), b' ').decode(errors='replace')}"


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        yield pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
