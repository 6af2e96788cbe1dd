"""A song that is right already is taken over packet by packet, and sounds as if it had been encoded anew."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream_app.assembly.song_copy import copy_song
from stream_app.assembly.song_file import measure_song
from tests.integration.assembly.numbered_media import click_starts, ffmpeg, read_sound, write_clicks

MakeSong = Callable[[str], Path]


def coded(path: Path) -> list[bytes]:
    with av.open(path) as source:
        return [bytes(packet) for packet in source.demux(audio=0) if packet.size]


@pytest.mark.parametrize("samples", [40_000, 95_999, 96_000, 96_001, 96_500, 98_304, 250_000])
def test_it_sounds_at_its_place_and_is_as_long_as_wanted(
    tmp_path: Path, clicks: MakeSong, samples: int
) -> None:
    song, out = clicks("m4a"), tmp_path / "sound.mp4"
    copy_song(measure_song(song), samples, out)
    sound = read_sound(out)
    assert click_starts(sound) == [at for at in (24_000, 48_000, 84_000) if at < samples]
    assert samples <= sound.size < samples + 1024
    assert not sound[96_000 + 2048 :].any()
    with av.open(out) as copied:
        stream = copied.streams.audio[0]
        assert stream.duration * stream.time_base == Fraction(samples, 48_000)
        assert (stream.codec_context.name, stream.rate, stream.layout.name) == ("aac", 48_000, "stereo")


def test_its_packets_are_the_songs(tmp_path: Path, clicks: MakeSong) -> None:
    copy_song(measure_song(clicks("m4a")), 90_000, tmp_path / "sound.mp4")
    copied = coded(tmp_path / "sound.mp4")
    assert copied == coded(clicks("m4a"))[: len(copied)]
    assert len(copied) == 1 + 88


def test_the_same_song_gives_the_same_bytes(tmp_path: Path, clicks: MakeSong) -> None:
    for name in ("a.mp4", "b.mp4"):
        copy_song(measure_song(clicks("m4a")), 250_000, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "aac", "mka", "ts"])
def test_other_kinds_are_not_copied(clicks: MakeSong, kind: str) -> None:
    assert measure_song(clicks("m4a")).can_be_copied
    assert not measure_song(clicks(kind)).can_be_copied


@pytest.mark.parametrize(
    "made",
    [
        ("-ar", "44100"),
        ("-ac", "1"),
        ("-ac", "6"),
        # Clocks that do not begin at the start, or have a hole.
        ("-af", "asetpts=PTS+0.5/TB"),
        ("-af", "aselect='not(between(t,0.5,1))'"),
        ("-c:a", "alac"),
    ],
    ids=" ".join,
)
def test_a_song_of_another_make_is_not_copied(
    tmp_path: Path, clicks: MakeSong, made: tuple[str, str]
) -> None:
    other = tmp_path / "other.m4a"
    ffmpeg("-i", str(clicks("wav")), *made, str(other))
    assert not measure_song(other).can_be_copied


def test_a_damaged_song_is_not_copied(tmp_path: Path) -> None:
    song = write_clicks(tmp_path / "song.m4a", (500, 1000), 6000)
    worst = max(coded(song), key=len)
    assert measure_song(song).can_be_copied
    # One bad packet of three hundred is no reason to refuse the song.
    song.write_bytes(song.read_bytes().replace(worst, bytes(len(worst))))
    assert not measure_song(song).can_be_copied
