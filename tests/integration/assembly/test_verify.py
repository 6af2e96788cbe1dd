"""Verification lets a good video pass and refuses each kind of bad one."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from stream_app.assembly.join import join_clips
from stream_app.assembly.mux import mux
from stream_app.assembly.song import encode_song, samples_of
from stream_app.assembly.song_copy import copy_song
from stream_app.assembly.song_file import measure_song
from stream_app.assembly.verify import Expected, is_faststart, verify_video
from stream_app.clip.encoding import timescale
from stream_app.domain.errors import MixError
from tests.integration.assembly.numbered_media import ffmpeg, small_profile, write_numbered
from topics.profile import RenderProfile

FRAMES = 120
PROFILE = small_profile("30000/1001")


class Made:
    """A finished video and what it was made of."""

    def __init__(self, folder: Path, song: Path) -> None:
        self.clips = [write_numbered(folder / f"{index}.mp4", 60 * index, 60, PROFILE) for index in range(2)]
        self.joined, self.sound = folder / "joined.mp4", folder / "sound.mp4"
        self.video, self.silent = folder / "video.mp4", folder / "silent.mp4"
        self.payload = join_clips(self.clips, [60, 60], PROFILE.rate, self.joined)
        encode_song(measure_song(song), 0, samples_of(FRAMES, PROFILE.rate), self.sound)
        mux(self.joined, self.sound, self.video, timescale=timescale(PROFILE.rate))
        mux(self.joined, None, self.silent, timescale=timescale(PROFILE.rate))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clicks: Callable[[str], Path]) -> Made:
    return Made(tmp_path_factory.mktemp("verify"), clicks("wav"))


def expected(*, has_song: bool = True, frames: int = FRAMES, payload: str | None = None) -> Expected:
    return Expected(PROFILE, frames, has_song, payload)


def test_a_good_video_passes(made: Made) -> None:
    verify_video(made.video, expected())
    verify_video(made.video, expected(payload=made.payload))
    verify_video(made.silent, expected(has_song=False))
    with av.open(made.silent) as silent:
        assert [stream.type for stream in silent.streams] == ["video"]


def test_picture_and_sound_begin_together(made: Made) -> None:
    with av.open(made.video) as video:
        picture, sound = video.streams.video[0], video.streams.audio[0]
        assert picture.start_time == sound.start_time == 0
        difference = picture.duration * picture.time_base - sound.duration * sound.time_base
        assert abs(difference) < 1 / PROFILE.rate


def test_a_song_too_many_or_too_few(made: Made) -> None:
    with pytest.raises(MixError, match="streams"):
        verify_video(made.video, expected(has_song=False))
    with pytest.raises(MixError, match="streams"):
        verify_video(made.silent, expected())


@pytest.mark.parametrize("frames", [FRAMES - 1, FRAMES + 1])
def test_another_number_of_frames(made: Made, frames: int) -> None:
    with pytest.raises(MixError, match=rf"{FRAMES} pictures are not {frames}"):
        verify_video(made.video, expected(frames=frames))


def test_another_size(made: Made) -> None:
    other = RenderProfile(width=128, height=32, fps=PROFILE.fps)
    with pytest.raises(MixError, match="width is 256, not 128"):
        verify_video(made.video, Expected(other, FRAMES, has_song=True))


def test_other_clips(made: Made, tmp_path: Path) -> None:
    other = join_clips(made.clips[:1], [60], PROFILE.rate, tmp_path / "other.mp4")
    with pytest.raises(MixError, match="not those of the clips"):
        verify_video(made.video, expected(payload=other))


def test_the_index_at_the_end(made: Made) -> None:
    assert is_faststart(made.video)
    assert not is_faststart(made.joined)
    with pytest.raises(MixError, match="index is not at the front"):
        verify_video(made.joined, expected(has_song=False))


def test_a_song_of_another_length(made: Made, tmp_path: Path, clicks: Callable[[str], Path]) -> None:
    encode_song(measure_song(clicks("wav")), 0, 150_000, tmp_path / "short.mp4")
    mux(made.joined, tmp_path / "short.mp4", tmp_path / "v.mp4", timescale=timescale(PROFILE.rate))
    with pytest.raises(MixError, match="sound ends at sample 150000, not 192192"):
        verify_video(tmp_path / "v.mp4", expected())


def test_colour_tags_that_are_missing(tmp_path: Path) -> None:
    plain = tmp_path / "plain.mp4"
    source = ("-f", "lavfi", "-i", "color=s=256x32:r=30000/1001")
    ffmpeg(*source, "-frames:v", str(FRAMES), "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(plain))
    with pytest.raises(
        MixError, match="is not right: primaries is 2, not 1; transfer is 2, not 1; matrix is 2"
    ):
        verify_video(plain, expected(has_song=False))


def damage(video: Path, out: Path, kind: str) -> Path:
    """A copy of the video whose packet in the middle is overwritten."""
    with av.open(video) as source:
        packets = [packet for packet in source.demux(**{kind: 0}) if packet.size]
        hit = packets[len(packets) // 2]
        place, size = hit.pos, hit.size
    data = bytearray(video.read_bytes())
    data[place : place + size] = b"\xff" * size
    out.write_bytes(data)
    return out


def test_a_damaged_picture(made: Made, tmp_path: Path) -> None:
    bad = damage(made.video, tmp_path / "bad.mp4", "video")
    with pytest.raises(MixError):
        verify_video(bad, expected())
    with pytest.raises(MixError, match="not those of the clips"):
        verify_video(bad, expected(payload=made.payload))


def test_damaged_sound(made: Made, tmp_path: Path) -> None:
    bad = damage(made.video, tmp_path / "bad.mp4", "audio")
    with pytest.raises(MixError):
        verify_video(bad, expected(payload=made.payload))


def test_a_copied_song_is_the_song_to_the_last_bit(
    made: Made, tmp_path: Path, clicks: Callable[[str], Path]
) -> None:
    video, sound = tmp_path / "video.mp4", tmp_path / "sound.mp4"
    payload = copy_song(measure_song(clicks("m4a")), samples_of(FRAMES, PROFILE.rate), sound)
    mux(made.joined, sound, video, timescale=timescale(PROFILE.rate))
    copied = Expected(PROFILE, FRAMES, has_song=True, sound=payload)
    verify_video(video, copied)
    verify_video(video, expected())
    with pytest.raises(MixError, match="not that of the song"):
        verify_video(damage(video, tmp_path / "bad.mp4", "audio"), copied)


@pytest.mark.parametrize("keep_percent", [0, 10, 50, 99])
def test_a_video_cut_off(made: Made, tmp_path: Path, keep_percent: int) -> None:
    data = made.video.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * keep_percent // 100])
    with pytest.raises(MixError):
        verify_video(cut, expected(payload=made.payload))
    with pytest.raises(MixError):
        verify_video(cut, expected())
