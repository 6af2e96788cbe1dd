import os
import signal
import subprocess
import sys
import time
from array import array
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import av
import pytest
from create_samples import Interrupted, Job, create_samples, run_job, video_job
from finished_file import STALE_SECONDS, make_file, remove_stale
from glyphs import text_rows
from sample_sound import check_song, make_song, song_samples
from sample_table import SAMPLES, SongSample
from sample_video import Sample, SampleError, check_video, make_video, running_time

FILM = SAMPLES[5]
TINY = 8
"""Frames of a tiny version."""
SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "media" / "create_samples.py"


def nothing() -> None:
    pass


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_file_is_what_its_row_promises(sample: Sample, tmp_path: Path) -> None:
    count = min(sample.gop + 10, 130)
    path = tmp_path / sample.file
    make_video(sample, path, nothing, frames=count)
    check_video(sample, path, frames=count)
    with av.open(path) as source:
        packets = [p for p in source.demux(video=0) if p.pts is not None]
        assert source.streams.video[0].average_rate == sample.fps
        assert len(source.streams.audio) == (sample.sound is not None)
    keys = [n for n, p in enumerate(packets) if p.is_keyframe]
    assert len(keys) == 1 + (count > sample.gop)
    leading = [p for p in packets[keys[-1] :] if p.pts < packets[keys[-1]].pts]
    assert bool(leading) == sample.open_gop
    in_order = all(a.pts < b.pts for a, b in pairwise(packets))
    assert in_order == (sample.b_frames == 0)


def test_the_check_refuses_what_is_not_the_tables(tmp_path: Path) -> None:
    path = tmp_path / FILM.file
    make_video(FILM, path, nothing, frames=40)
    for other in (replace(FILM, gop=50), replace(FILM, width=642), replace(FILM, fps=FILM.fps * 2)):
        with pytest.raises(SampleError):
            check_video(other, path, frames=40)
    with pytest.raises(SampleError, match="frames is 40, not 41"):
        check_video(FILM, path, frames=41)


def test_the_table_offers_variety() -> None:
    assert [s.number for s in SAMPLES] == list(range(1, len(SAMPLES) + 1))
    assert len(SAMPLES) >= 6
    assert all(s.frames >= 60 * s.fps for s in SAMPLES)
    assert {s.container for s in SAMPLES} == {"mp4", "mkv", "webm"}
    assert (
        len({s.fps for s in SAMPLES}) == len({s.size for s in SAMPLES}) == len({s.name for s in SAMPLES}) == 6
    )
    for sample in SAMPLES:
        assert text_rows(sample.name.upper(), 1)


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    for sample in SAMPLES[2:4]:
        made = []
        for name in ("a", "b"):
            path = tmp_path / f"{name}.{sample.container}"
            make_video(sample, path, nothing, frames=TINY)
            made.append(path.read_bytes())
        assert made[0] == made[1]


def test_the_running_time_is_rounded_half_up() -> None:
    assert running_time(0, SAMPLES[0].fps) == "00:00.000"
    assert running_time(1, SAMPLES[0].fps) == "00:00.042"
    assert running_time(3600, SAMPLES[2].fps) == "01:00.000"
    assert running_time(1, SAMPLES[2].fps) == "00:00.017"


def test_a_letter_without_glyph_is_refused() -> None:
    with pytest.raises(ValueError, match="no 'é'"):
        text_rows("é", 1)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    stop = Event()
    job = video_job(FILM, TINY)

    def make_and_stop(path: Path, go_on: object) -> None:
        assert callable(go_on)
        frames_seen = iter(range(TINY))

        def stopping() -> None:
            if next(frames_seen) == TINY // 2:
                assert [p.name.startswith(".part-") for p in tmp_path.iterdir()] == [True]
                stop.set()
            go_on()

        make_video(FILM, path, stopping, frames=TINY)

    with pytest.raises(Interrupted):
        run_job(replace(job, make=make_and_stop), tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_script_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, "--dir", tmp_path, "--only", "neon-grid"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as script:
        deadline = time.monotonic() + 30
        while not any(p.stat().st_size for p in tmp_path.glob(".part-*")):
            assert script.poll() is None
            assert time.monotonic() < deadline
        script.send_signal(number)
        _, told = script.communicate(timeout=30)
    assert script.returncode == 130
    assert b"interrupted" in told
    assert list(tmp_path.iterdir()) == []


def test_a_whole_file_is_left_alone_and_a_damaged_one_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = video_job(FILM, TINY)
    path = tmp_path / FILM.file
    create_samples([job], tmp_path)
    first = path.read_bytes()
    inode = path.stat().st_ino
    create_samples([job], tmp_path)
    assert path.stat().st_ino == inode
    assert "there already" in capsys.readouterr().out
    for damaged in (first[: len(first) // 2], b"", b"not a film"):
        path.write_bytes(damaged)
        create_samples([job], tmp_path)
        assert path.read_bytes() == first
    inode = path.stat().st_ino
    create_samples([job], tmp_path, force=True)
    assert path.stat().st_ino != inode


def test_a_fault_keeps_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept.mp4"
    path.write_bytes(b"old")

    def refuse(_part: Path) -> None:
        raise SampleError("not good")

    with pytest.raises(SampleError):
        make_file(path, Path.touch, refuse)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("kept.mp4", b"old")]


def test_the_first_fault_of_a_job_is_told(tmp_path: Path) -> None:
    def fail(_path: Path, _go_on: object) -> None:
        raise OSError("disk full")

    broken = Job("broken", "broken.mp4", "", make=fail, check=lambda path: check_video(FILM, path))
    with pytest.raises(OSError, match="disk full"):
        create_samples([broken], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_runs_at_once_do_not_harm_one_another(tmp_path: Path) -> None:
    job = video_job(FILM, TINY)
    runs = [Thread(target=create_samples, args=([job], tmp_path), kwargs={"force": True}) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=30)
    assert [p.name for p in tmp_path.iterdir()] == [FILM.file]
    check_video(FILM, tmp_path / FILM.file, frames=TINY)


def test_only_old_leftovers_of_killed_runs_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / ".part-old", tmp_path / ".part-new"
    for part in (old, new):
        part.touch()
    past = time.time() - STALE_SECONDS - 60
    os.utime(old, (past, past))
    remove_stale(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".part-new"]


def test_the_song_strikes_at_the_start_of_each_line(tmp_path: Path) -> None:
    song = SongSample("song", "song.m4a", lines=10, line_ms=600)
    path = tmp_path / song.file
    make_song(song, path, nothing)
    check_song(song, path)
    with av.open(path) as source:
        sound = array("f", b"".join(bytes(f.planes[0])[: f.samples * 4] for f in source.decode(audio=0)))
    assert len(sound) == song_samples(song)
    for line in range(1, song.lines):
        start, window = line * song.line_ms * 48, 960
        before, after = (sum(abs(s) for s in sound[at : at + window]) for at in (start - window, start))
        assert after > 1.5 * before


def test_the_check_refuses_another_song(tmp_path: Path) -> None:
    song = SongSample("song", "song.m4a", lines=2, line_ms=200)
    path = tmp_path / song.file
    make_song(song, path, nothing)
    with pytest.raises(ValueError, match="was made from"):
        check_song(replace(song, lines=3), path)
