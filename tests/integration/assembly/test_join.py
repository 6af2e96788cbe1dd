"""Every frame of a join is read back: its number from the pixels, its time from the file."""

from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
import pytest

from stream_app.assembly.join import join_clips
from stream_app.clip.encoding import MOVFLAGS
from stream_app.domain.errors import MixError
from tests.integration.assembly.numbered_media import (
    read_numbers,
    small_profile,
    write_numbered,
    write_parts,
)
from topics.profile import Quality

LENGTHS = (1, 5, 3, 12, 2, 7)
"""Clips of one to three frames have less decoding delay of their own than longer ones."""


def joined(tmp_path: Path, lengths: list[int], fps: str) -> Path:
    profile = small_profile(fps)
    parts = write_parts(tmp_path / "clips", lengths, profile)
    out = tmp_path / "out.mp4"
    join_clips([part.path for part in parts if part.path], lengths, profile.rate, out)
    return out


@pytest.mark.parametrize(
    ("clips", "fps"),
    [(60, "30"), (60, "30000/1001"), (60, "25"), (60, "24000/1001"), (60, "120"), (300, "30000/1001")],
)
def test_every_frame_is_where_it_belongs(tmp_path: Path, clips: int, fps: str) -> None:
    lengths = list(islice(cycle(LENGTHS), clips))
    out = joined(tmp_path, lengths, fps)
    rate = small_profile(fps).rate
    assert read_numbers(out) == [(number, number / rate) for number in range(sum(lengths))]
    with av.open(out) as video:
        stream = video.streams.video[0]
        assert stream.start_time == 0
        assert stream.duration * stream.time_base == sum(lengths) / rate


@pytest.mark.parametrize("quality", ["draft", "high"])
def test_other_qualities_reorder_otherwise(tmp_path: Path, quality: Quality) -> None:
    profile = small_profile(quality=quality)
    parts = write_parts(tmp_path / "clips", LENGTHS, profile)
    join_clips([part.path for part in parts if part.path], LENGTHS, profile.rate, tmp_path / "out.mp4")
    wanted = [(number, number / profile.rate) for number in range(sum(LENGTHS))]
    assert read_numbers(tmp_path / "out.mp4") == wanted


def test_one_clip_of_one_frame(tmp_path: Path) -> None:
    assert read_numbers(joined(tmp_path, [1], "30")) == [(0, Fraction(0))]


def write_foreign(
    path: Path, frames: int, *, step: int = 1, crf: str = "28", preset: str = "veryfast"
) -> Path:
    """A clip of the right size and rate from an encoder that is set otherwise."""
    with av.open(str(path), "w", format="mp4", options={"movflags": MOVFLAGS}) as output:
        stream = output.add_stream("libx264", rate=30, options={"crf": crf, "preset": preset})
        stream.width, stream.height, stream.pix_fmt = 256, 32, "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((48, 256), 90, np.uint8), format="yuv420p")
            picture.pts = number * step
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


def test_another_parameter_set_is_refused_and_named(tmp_path: Path) -> None:
    good = write_numbered(tmp_path / "good.mp4", 0, 5, small_profile())
    foreign = write_foreign(tmp_path / "foreign.mp4", 5)
    with pytest.raises(MixError, match=r"foreign\.mp4 .*parameter set") as refused:
        join_clips([good, foreign], [5, 5], Fraction(30), tmp_path / "out.mp4")
    assert refused.value.reason == "join_failed"


@pytest.mark.parametrize("promised", [4, 6])
def test_another_number_of_frames_is_refused_and_named(tmp_path: Path, promised: int) -> None:
    clips = [write_numbered(tmp_path / f"{index}.mp4", 0, 5, small_profile()) for index in range(2)]
    with pytest.raises(MixError, match=rf"1\.mp4 has 5 frames, {promised} were promised"):
        join_clips(clips, [5, promised], Fraction(30), tmp_path / "out.mp4")


def test_a_clip_off_the_grid_is_refused(tmp_path: Path) -> None:
    gaps = write_foreign(tmp_path / "gaps.mp4", 5, step=2)
    with pytest.raises(MixError, match=r"gaps\.mp4 is not on the grid"):
        join_clips([gaps], [5], Fraction(30), tmp_path / "out.mp4")


def test_a_clip_at_another_rate_is_refused(tmp_path: Path) -> None:
    slow = write_numbered(tmp_path / "slow.mp4", 0, 9, small_profile("25"))
    with pytest.raises(MixError, match=r"slow\.mp4 is not on the grid"):
        join_clips([slow], [9], Fraction(30), tmp_path / "out.mp4")


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_clip_is_refused(tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(content)
    with pytest.raises(MixError, match=r"bad\.mp4"):
        join_clips([bad], [1], Fraction(30), tmp_path / "out.mp4")


def test_a_clip_cut_off_on_disk_is_refused(tmp_path: Path) -> None:
    clip = write_numbered(tmp_path / "short.mp4", 0, 200, small_profile())
    clip.chmod(0o644)
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MixError, match=r"short\.mp4"):
        join_clips([clip], [200], Fraction(30), tmp_path / "out.mp4")


def test_lengths_must_match_the_clips(tmp_path: Path) -> None:
    with pytest.raises(MixError, match="nothing to join"):
        join_clips([], [], Fraction(30), tmp_path / "out.mp4")
