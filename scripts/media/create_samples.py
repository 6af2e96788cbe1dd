"""Makes the sample media: six source videos and a song, see media/README.md.

    python scripts/media/create_samples.py [--dir media/samples] [--only NAME] [--force]

Files that are there and whole are left alone. An interrupted run leaves nothing half-written.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

import av
from finished_file import make_file
from sample_sound import check_song, make_song
from sample_table import SAMPLES, SONG, Sample
from sample_video import SampleError, check_video, make_video

DEFAULT_DIR = Path(__file__).resolve().parents[2] / "media" / "samples"
WORKERS = 2
"""Threads are enough: the encoders work outside Python's lock."""


class Interrupted(Exception):  # noqa: N818 - no error, somebody pressed Ctrl-C
    """The run is ending early."""


@dataclass(frozen=True)
class Job:
    """One file to be there."""

    name: str
    file: str
    describe: str
    make: Callable[[Path, Callable[[], None]], None]
    check: Callable[[Path], None]


def video_job(sample: Sample, frames: int | None = None) -> Job:
    """The job of one source, or of its first `frames` frames."""
    gop = f"{'open ' if sample.open_gop else ''}GOP {sample.gop}, {sample.b_frames} B-frames"
    picture = f"{sample.width}x{sample.height}, {sample.fps} fps, {sample.seconds} s"
    return Job(
        sample.name,
        sample.file,
        f"{picture}, {gop}, {sample.sound or 'no sound'}",
        make=partial(make_video, sample, frames=frames),
        check=partial(check_video, sample, frames=frames),
    )


def song_job() -> Job:
    """The job of the song."""
    about = f"{SONG.duration_ms // 1000} s, a bell and a kick every {SONG.line_ms} ms"
    return Job(SONG.name, SONG.file, about, make=partial(make_song, SONG), check=partial(check_song, SONG))


def all_jobs() -> list[Job]:
    """Every file, the longest work first, so that both workers end at about the same time."""

    def work(sample: Sample) -> int:
        return sample.frames * sample.width * sample.height * (3 if sample.codec == "libvpx-vp9" else 1)

    by_work = sorted(SAMPLES, key=work, reverse=True)
    return [*map(video_job, by_work), song_job()]


def run_job(job: Job, folder: Path, stop: Event, *, force: bool = False) -> str:
    """Makes the file of a job unless it is there and whole.

    Returns:
        A line that says what was done.

    Raises:
        Interrupted: `stop` was set.
    """
    path = folder / job.file
    if not force and _is_whole(job, path):
        return f"{job.file:22} there already   {job.describe}"

    def go_on() -> None:
        if stop.is_set():
            raise Interrupted

    started = time.monotonic()
    make_file(path, lambda part: job.make(part, go_on), job.check)
    took = time.monotonic() - started
    return f"{job.file:22} {took:5.1f} s {path.stat().st_size / 1e6:5.1f} MB  {job.describe}"


def _is_whole(job: Job, path: Path) -> bool:
    try:
        job.check(path)
    except (OSError, ValueError, IndexError, SampleError, av.FFmpegError):
        return False
    return True


def create_samples(jobs: Sequence[Job], folder: Path, *, force: bool = False) -> None:
    """Does the jobs, two at a time, and prints a line for each.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the temporary files are gone.
        Exception: the first fault of a job; the others are stopped.
    """
    stop = Event()
    with ThreadPoolExecutor(WORKERS) as pool:
        runs = [pool.submit(run_job, job, folder, stop, force=force) for job in jobs]
        try:
            for run in as_completed(runs):
                print(run.result(), flush=True)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; 0 when every file is there, 130 when interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    jobs = all_jobs()
    parser.add_argument("--dir", type=Path, default=DEFAULT_DIR, help="where to (default: media/samples)")
    parser.add_argument("--only", choices=[job.name for job in jobs], help="make this one only")
    parser.add_argument("--force", action="store_true", help="make files again that are there already")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        create_samples([j for j in jobs if chosen.only in (None, j.name)], chosen.dir, force=chosen.force)
    except KeyboardInterrupt:
        print("interrupted; what is whole stays, the rest is made next time", file=sys.stderr)
        return 130
    print(f"all in {chosen.dir}, {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as cleanly as on Ctrl-C
    sys.exit(main())
