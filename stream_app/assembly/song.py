"""Make the sound of a mix: the song at its place, silence around it, exactly as long as the picture."""

import signal
from fractions import Fraction
from pathlib import Path
from typing import cast

import ffmpeg
import imageio_ffmpeg

from stream_app.assembly.song_file import FORMATS, SAMPLE_RATE, SongFile
from stream_app.child_process import Ended, TimeLimitError, run_to_end
from stream_app.domain.errors import MixError, OwnFaultError
from stream_app.domain.frames import round_half_up
from topics.reasons import MixFailure

SAMPLES_PER_MS = SAMPLE_RATE // 1000
BIT_RATE = 192_000
"""Of the AAC stream: ffmpeg's own encoder is held to be transparent from about here for stereo."""

TIMEOUT_S = 1200.0
"""A song of an hour encodes in about a minute on one core; what runs for so long hangs."""

_OUR_FAULTS = ("No space left on device", "File too large", "Disk quota exceeded")
"""No "Cannot allocate memory": a song may be made to ask for too much, and would be tried for ever."""


def samples_of(frames: int, rate: Fraction) -> int:
    """Samples that last as long as `frames` pictures, half up."""
    return round_half_up(frames * SAMPLE_RATE / rate)


def encode_song(
    song: SongFile, offset_ms: int, samples: int, out: Path, *, timeout_s: float = TIMEOUT_S
) -> None:
    """Write an MP4 with one AAC stream, 48 kHz stereo.

    Args:
        song: what is to be heard.
        offset_ms: when its first sample sounds; below 0 cuts so much off its head.
        samples: how many there will be, silence after the song included.
        out: the file to write.
        timeout_s: the longest that the encoder may take.

    Raises:
        MixError: `song_invalid` when ffmpeg fails on the song or needs too long.
        OwnFaultError: the disk is full, or the encoder was killed from outside.
    """
    try:
        ended = run_to_end(_command(song, offset_ms, samples, out), timeout_s=timeout_s)
    except TimeLimitError as error:
        raise MixError(
            MixFailure.SONG_INVALID, f"song {song.path} was not encoded in {timeout_s} s"
        ) from error
    if _is_ours(ended):
        raise OwnFaultError(f"the song could not be written to {out.parent}: {ended.stderr}")
    if ended.returncode != 0:
        raise MixError(MixFailure.SONG_INVALID, f"song {song.path} could not be encoded: {ended.stderr}")


def _command(song: SongFile, offset_ms: int, samples: int, out: Path) -> list[str]:
    source = ffmpeg.input(
        f"file:{song.path}", protocol_whitelist="file", format_whitelist=FORMATS, vn=None, sn=None, dn=None
    )
    sound = source["a:0"]
    if song.priming:
        sound = sound.filter("atrim", start_sample=song.priming)
    # Counting samples instead of trusting clocks: a stream that starts late would end early, and adelay's
    # first frames have no time at all, which the encoder takes for a step back.
    sound = sound.filter("asetpts", "N/SR/TB").filter("aresample", SAMPLE_RATE)
    if offset_ms < 0:
        sound = sound.filter("atrim", start_sample=-offset_ms * SAMPLES_PER_MS).filter("asetpts", "N/SR/TB")
    if offset_ms > 0:
        sound = sound.filter("adelay", f"{offset_ms * SAMPLES_PER_MS}S", all=1)
    sound = sound.filter("apad").filter("atrim", end_sample=samples).filter("asetpts", "N/SR/TB")
    output = ffmpeg.output(
        sound,
        f"file:{out}",
        format="mp4",
        acodec="aac",
        audio_bitrate=BIT_RATE,
        ac=2,
        ar=SAMPLE_RATE,
        map_metadata=-1,
        map_chapters=-1,
        fflags="+bitexact",
        **{"flags:a": "+bitexact"},
    )
    output = output.global_args("-v", "error", "-nostdin", "-hide_banner").overwrite_output()
    return cast("list[str]", output.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe()))


def _is_ours(ended: Ended) -> bool:
    if ended.returncode in (-signal.SIGXFSZ, -signal.SIGKILL):
        return True
    return ended.returncode != 0 and any(fault in ended.stderr for fault in _OUR_FAULTS)
