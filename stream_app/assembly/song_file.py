"""Learn how long a song really sounds."""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av

from stream_app.domain.errors import MixError
from stream_app.domain.frames import SECOND_MS, round_half_up
from topics.reasons import MixFailure

FORMATS = "wav,w64,aiff,caf,mp3,aac,flac,ogg,mov,matroska,mpegts,mpeg,avi,flv,ac3,eac3,asf"
"""Containers a song may come in. No playlist is among them: those can name other files."""

SAMPLE_RATE = 48_000
"""Of a mix's sound."""

AAC_FRAME = 1024
"""Samples of an AAC packet; one packet of priming may come before zero."""

AAC_LC_48K_STEREO = b"\x11\x90"
"""How the decoder's settings begin (AudioSpecificConfig of ISO/IEC 14496-3, 1.6.2.1)."""

ADTS_PRIMING = AAC_FRAME
"""Samples of encoder delay at the head of raw AAC, which has no place to say so."""

MAX_PADDING = 2048
"""Samples of silence that may fill up an encoder's last frame (two AAC frames, or one of HE-AAC)."""

MAX_BAD_PACKETS_PERCENT = 1
"""MP3s often begin or end with tags that do not decode; more than this is damage that would be heard."""

MAX_MISSING_S = 1
"""A song that ends so much before the length its own header states was cut off on its way here."""

_STATES_ITS_LENGTH = ("flac", "mov")
"""Containers whose stated length is exact; of the others it is an estimate from the size or the last time."""


@dataclass(frozen=True, slots=True)
class SongFile:
    """A song that decodes.

    Attributes:
        path: where it is.
        length: seconds from its first decoded sample to its last, exactly.
        priming: samples at its head, at its own rate, that are no part of the song.
        can_be_copied: whether its packets are those of a mix's sound already: AAC-LC, 48 kHz, stereo, each at
            its place from the start on, with none that is damaged.
    """

    path: Path
    length: Fraction
    priming: int
    can_be_copied: bool

    @property
    def length_ms(self) -> int:
        """Its length in ms, half up."""
        return round_half_up(self.length * SECOND_MS)


def measure_song(path: Path) -> SongFile:
    """Decode the first audio stream of `path` to its end; what came of it is remembered while the file stays.

    Raises:
        MixError: `song_invalid` when it has no audio or too much of it does not decode; `song_unavailable`
            when it may not be read.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise _unavailable(path, error) from error
    return _measured(path, (facts.st_size, facts.st_mtime_ns, facts.st_ino))


# A song is measured when it is prepared and again when its mix is joined.
@lru_cache(maxsize=16)
def _measured(path: Path, _version: tuple[int, int, int]) -> SongFile:
    try:
        with av.open(path, options={"protocol_whitelist": "file", "format_whitelist": FORMATS}) as source:
            if not source.streams.audio:
                raise _invalid(path, "has no audio stream")
            stream = source.streams.audio[0]
            is_adts = stream.codec_context.name == "aac" and source.format.name in ("aac", "mpegts")
            priming = ADTS_PRIMING if is_adts else 0
            heard = _decode(source, stream)
            can_be_copied = _is_sound_of_a_mix(source, stream, heard)
            stated = _stated_length(source, stream)
    except av.FFmpegError as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise _unavailable(path, error) from error
        raise _invalid(path, f"does not decode: {error}") from error
    if not heard.samples or heard.bad * 100 > len(heard.times) * MAX_BAD_PACKETS_PERCENT:
        raise _invalid(path, f"does not decode: {heard.bad} of {len(heard.times)} packets are bad")
    length = sum((Fraction(count, rate) for rate, count in heard.samples.items()), Fraction())
    rate = next(iter(heard.samples))
    if stated is not None:
        length = _without_padding(path, length, stated, rate=rate)
    length -= Fraction(priming, rate)
    return SongFile(path, max(length, Fraction()), priming, can_be_copied)


def _without_padding(path: Path, length: Fraction, stated: Fraction, *, rate: int) -> Fraction:
    """The decoded length, less what the header says is only there to fill the last frame.

    ffmpeg's own decoding for the encoder leaves it out too, libavformat's older versions do not.
    """
    if length < stated - MAX_MISSING_S:
        raise _invalid(path, f"is cut off: it states {float(stated):.1f} s and has {float(length):.1f} s")
    return stated if stated < length < stated + Fraction(MAX_PADDING, rate) else length


@dataclass(slots=True)
class _Heard:
    """What came out of a stream: samples by rate, when each packet begins, and how many did not decode."""

    samples: Counter[int] = field(default_factory=Counter)
    times: list[int | None] = field(default_factory=list)
    bad: int = 0


def _decode(source: av.container.InputContainer, stream: av.AudioStream) -> _Heard:
    heard = _Heard()
    for packet in source.demux(stream):
        if packet.size:
            heard.times.append(packet.pts)
        try:
            for frame in packet.decode():
                heard.samples[frame.sample_rate] += frame.samples
        except (av.error.InvalidDataError, av.error.EOFError):
            heard.bad += 1
    return heard


def _is_sound_of_a_mix(source: av.container.InputContainer, stream: av.AudioStream, heard: _Heard) -> bool:
    settings = stream.codec_context.extradata or b""
    if "mp4" not in source.format.name or stream.codec_context.name != "aac" or heard.bad:
        return False
    if not settings.startswith(AAC_LC_48K_STEREO) or stream.time_base != Fraction(1, SAMPLE_RATE):
        return False
    if not heard.times or heard.times[0] not in (0, -AAC_FRAME):
        return False
    return heard.times == [heard.times[0] + AAC_FRAME * k for k in range(len(heard.times))]


def _stated_length(source: av.container.InputContainer, stream: av.AudioStream) -> Fraction | None:
    exact = any(name in _STATES_ITS_LENGTH for name in source.format.name.split(","))
    if not exact or stream.duration is None or stream.time_base is None:
        return None
    return stream.duration * stream.time_base


def _unavailable(path: Path, error: Exception) -> MixError:
    return MixError(MixFailure.SONG_UNAVAILABLE, f"song {path} cannot be read: {error}")


def _invalid(path: Path, what: str) -> MixError:
    return MixError(MixFailure.SONG_INVALID, f"song {path} {what}")
