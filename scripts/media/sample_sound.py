"""Sound made of sines: the song of the samples, and the beep that nobody should ever hear in a mix."""

import sys
from array import array
from collections.abc import Callable
from fractions import Fraction
from math import exp, pi, sin
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from sample_table import SongSample

Voice = Callable[[float], float]
"""The height of a wave at a time in seconds."""

RATE = 48_000
FRAME_BYTES = 4
"""Two channels of 16 bits."""

AAC_FRAME = 1024
"""Samples in a packet of AAC: a song that fills its packets decodes to exactly its own length."""

CHORDS = ((220.0, 261.63, 329.63), (174.61, 220.0, 261.63), (196.0, 261.63, 329.63), (196.0, 246.94, 293.66))
"""Am, F, C over G, G: one a line, in hertz."""
BELLS = (880.0, 698.46, 783.99, 987.77)
"""The note struck at the start of a line, by its chord."""


def add_sound(container: OutputContainer, codec: str) -> AudioStream:
    """A stream of 48 kHz stereo in a container that is being written."""
    stream = cast("AudioStream", container.add_stream(codec, rate=RATE, layout="stereo"))
    stream.bit_rate = 128_000
    return stream


def sound_frame(pcm: bytes, start: int) -> av.AudioFrame:
    """Interleaved 16-bit stereo at 48 kHz as a frame that begins at sample `start`."""
    frame = av.AudioFrame("s16", "stereo", len(pcm) // FRAME_BYTES)
    frame.planes[0].update(pcm)
    frame.rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
    return frame


def beep(number: int, samples: int) -> bytes:
    """A nagging beep, twice a second, of another pitch for each source."""
    period = RATE // 2
    pitch = 600 + 200 * number
    tone = [6000 * sin(2 * pi * pitch * i / RATE) if i < period // 4 else 0.0 for i in range(period)]
    whole = _interleave(tone)
    return (whole * (samples // period + 1))[: samples * FRAME_BYTES]


def song_samples(song: SongSample) -> int:
    """Samples in the song: as many whole packets as fit into its lines, up to 21 ms less than they last."""
    return song.lines * song.line_ms * RATE // 1000 // AAC_FRAME * AAC_FRAME


def make_song(song: SongSample, path: Path, go_on: Callable[[], None]) -> None:
    """Writes the song; `go_on` is called for each line and may raise to end early."""
    per_line = song.line_ms * RATE // 1000
    verses = [_verse(chord, per_line) for chord in range(len(CHORDS))]
    choruses = [_chorus(verse, chord) for chord, verse in enumerate(verses)]
    parts = [[_interleave(bar) for bar in part] for part in (verses, choruses)]
    with av.open(
        path, "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}
    ) as container:
        container.metadata["title"] = "clipfold sample song"
        container.metadata["comment"] = song.recipe
        stream = add_sound(container, "aac")
        for line in range(song.lines):
            go_on()
            bar = parts[line // 8 % 2][line % len(CHORDS)]  # eight lines of verse, eight of chorus
            pcm = bar[: (song_samples(song) - line * per_line) * FRAME_BYTES]
            container.mux(stream.encode(sound_frame(pcm, line * per_line)))
        container.mux(stream.encode(None))


def check_song(song: SongSample, path: Path) -> None:
    """Reads the song back, decoding it.

    Raises:
        ValueError: its length or recipe is not the table's.
        av.FFmpegError: it is no media file.
        OSError: it cannot be read.
    """
    with av.open(path) as container:
        recipe = container.metadata.get("comment")
        samples = sum(frame.samples for frame in container.decode(audio=0))
    if recipe != song.recipe:
        raise ValueError(f"{path} was made from {recipe!r}, not {song.recipe!r}")
    if samples != song_samples(song):
        raise ValueError(f"{path} lasts {samples} samples, not {song_samples(song)}")


def _verse(chord: int, length: int) -> list[float]:
    """One line of the song: the chord, a bell and a loud kick at its start, soft kicks on the other beats."""
    bar = [0.0] * length
    beat = length // 4
    for pitch in CHORDS[chord]:
        _add(bar, 0, length, _pad(pitch))
    _add(bar, 0, beat * 2, _pluck(BELLS[chord], loud=7000, decay=5))
    for number in range(4):
        _add(bar, number * beat, beat // 2, _kick(loud=3500 if number else 12_000))
    return bar


def _chorus(verse: list[float], chord: int) -> list[float]:
    """The same line with eight plucked notes in it."""
    bar = list(verse)
    note = len(bar) // 8
    for number in range(8):
        _add(bar, number * note, note, _pluck(CHORDS[chord][number % 3] * 2, loud=2200, decay=7))
    return bar


def _pad(pitch: float) -> Voice:
    """A soft tone that swells at once and is gone after three seconds."""
    return lambda t: 1500 * sin(2 * pi * pitch * t) * min(1.0, t * 12) * max(0.0, 1 - t / 3)


def _pluck(pitch: float, *, loud: int, decay: int) -> Voice:
    return lambda t: loud * sin(2 * pi * pitch * t) * exp(-decay * t)


def _kick(*, loud: int) -> Voice:
    """A drum whose pitch falls."""
    return lambda t: loud * sin(60 * (1 - exp(-18 * t))) * exp(-14 * t)


def _add(bar: list[float], start: int, length: int, voice: Voice) -> None:
    for i in range(min(length, len(bar) - start)):
        bar[start + i] += voice(i / RATE)


def _interleave(samples: list[float]) -> bytes:
    """The same sound on both channels, as 16-bit little-endian."""
    mono = array("h", map(round, samples))
    pcm = array("h", bytes(FRAME_BYTES * len(mono)))
    pcm[::2] = pcm[1::2] = mono
    if sys.byteorder == "big":
        pcm.byteswap()
    return pcm.tobytes()
