"""The song sounds where it should, to the sample: clicks go in at known times and are found again."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream_app.assembly.song import encode_song, samples_of
from stream_app.assembly.song_file import measure_song
from stream_app.domain.errors import MixError
from tests.integration.assembly.numbered_media import (
    click_starts,
    ffmpeg,
    read_sound,
    small_profile,
    write_clicks,
    write_numbered,
)

KINDS = ["wav", "mp3", "m4a", "flac", "opus", "ogg", "aac", "mka", "ts"]
FRAMES, RATE = 100, Fraction(30000, 1001)

MakeSong = Callable[[str], Path]


@pytest.mark.parametrize("offset_ms", [0, 700, -600])
@pytest.mark.parametrize("kind", KINDS)
def test_clicks_are_no_sample_off(tmp_path: Path, clicks: MakeSong, kind: str, offset_ms: int) -> None:
    out = tmp_path / "song.mp4"
    samples = samples_of(FRAMES, RATE)
    encode_song(measure_song(clicks(kind)), offset_ms, samples, out)
    wanted = [(at_ms + offset_ms) * 48 for at_ms in (500, 1000, 1750) if at_ms + offset_ms >= 0]
    sound = read_sound(out)
    assert click_starts(sound) == wanted
    # Silence goes on to the picture's end; an AAC packet may run past it, the track's length does not.
    assert abs(sound[(2000 + offset_ms) * 48 + 2048 :]).max() == 0
    assert samples <= sound.size < samples + 1024
    with av.open(out) as encoded:
        stream = encoded.streams.audio[0]
        assert stream.duration * stream.time_base == Fraction(samples, 48_000)
        assert (stream.codec_context.name, stream.rate, stream.layout.name) == ("aac", 48_000, "stereo")


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a", "flac", "opus", "ogg"])
def test_length_is_that_of_the_decoded_song(clicks: MakeSong, kind: str) -> None:
    assert measure_song(clicks(kind)).length == 2
    assert measure_song(clicks(kind)).length_ms == 2000


@pytest.mark.parametrize("kind", ["aac", "mka", "ts"])
def test_without_a_stated_length_padding_counts(clicks: MakeSong, kind: str) -> None:
    assert 2 <= measure_song(clicks(kind)).length < 2 + Fraction(1024, 48_000)


def test_a_longer_song_is_cut_at_the_pictures_end(tmp_path: Path, clicks: MakeSong) -> None:
    out = tmp_path / "song.mp4"
    encode_song(measure_song(clicks("wav")), 0, 60_000, out)
    assert click_starts(read_sound(out)) == [24_000, 48_000]


@pytest.mark.parametrize("offset_ms", [-5000, 60_000])
def test_a_song_moved_out_of_the_picture_leaves_silence(
    tmp_path: Path, clicks: MakeSong, offset_ms: int
) -> None:
    out = tmp_path / "song.mp4"
    encode_song(measure_song(clicks("wav")), offset_ms, 60_000, out)
    sound = read_sound(out)
    assert 60_000 <= sound.size < 61_024
    assert abs(sound).max() == 0


def test_mono_at_another_rate(tmp_path: Path, clicks: MakeSong) -> None:
    mono = tmp_path / "mono.wav"
    ffmpeg("-i", str(clicks("wav")), "-ac", "1", "-ar", "44100", str(mono))
    out = tmp_path / "song.mp4"
    encode_song(measure_song(mono), 100, 96_000, out)
    found = click_starts(read_sound(out))
    assert [abs(at - want) <= 2 for at, want in zip(found, (28_800, 52_800, 88_800), strict=True)] == [
        True
    ] * 3


def test_the_sound_of_a_video_that_begins_late(tmp_path: Path, clicks: MakeSong) -> None:
    picture = write_numbered(tmp_path / "p.mp4", 0, 60, small_profile())
    late = tmp_path / "late.mkv"
    inputs = ("-i", str(picture), "-itsoffset", "0.5", "-i", str(clicks("wav")))
    ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "flac", str(late))
    out = tmp_path / "song.mp4"
    encode_song(measure_song(late), 0, 96_000, out)
    assert click_starts(read_sound(out)) == [24_000, 48_000, 84_000]


def test_the_same_song_gives_the_same_bytes(tmp_path: Path, clicks: MakeSong) -> None:
    for name in ("a.mp4", "b.mp4"):
        encode_song(measure_song(clicks("mp3")), 250, 96_000, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_text_is_no_song(tmp_path: Path) -> None:
    text = tmp_path / "song.mp3"
    text.write_text("la la la\n" * 1000)
    with pytest.raises(MixError) as refused:
        measure_song(text)
    assert refused.value.reason == "song_invalid"


def test_a_playlist_is_no_song(tmp_path: Path, clicks: MakeSong) -> None:
    playlist = tmp_path / "song.m4a"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clicks('aac')}\n#EXT-X-ENDLIST\n")
    with pytest.raises(MixError) as refused:
        measure_song(playlist)
    assert refused.value.reason == "song_invalid"


def test_a_silent_video_is_no_song(tmp_path: Path) -> None:
    silent = write_numbered(tmp_path / "silent.mp4", 0, 5, small_profile())
    with pytest.raises(MixError, match="no audio stream") as refused:
        measure_song(silent)
    assert refused.value.reason == "song_invalid"


@pytest.mark.parametrize("kind", ["flac", "m4a"])
def test_a_song_cut_off_on_its_way_is_refused(tmp_path: Path, kind: str) -> None:
    whole = write_clicks(tmp_path / f"whole.{kind}", range(0, 6000, 50), 6000)
    short = tmp_path / f"short.{kind}"
    if kind == "m4a":
        # Its index lies at the end: brought to the front, the file still opens when the end is missing.
        ffmpeg("-i", str(whole), "-c", "copy", "-movflags", "+faststart", str(tmp_path / "front.m4a"))
        whole = tmp_path / "front.m4a"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(MixError) as refused:
        measure_song(short)
    assert refused.value.reason == "song_invalid"
