"""Prove that a finished video is what it should be; an exit status proves nothing."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
from av.packet import Packet

from stream_app.assembly.join import ticks_per_frame
from stream_app.assembly.song import samples_of
from stream_app.assembly.song_file import AAC_FRAME, SAMPLE_RATE
from stream_app.clip.encoding import BT709, LIMITED_RANGE, timescale
from stream_app.domain.errors import MixError
from topics.profile import RenderProfile
from topics.reasons import MixFailure


@dataclass(frozen=True, slots=True)
class Expected:
    """What the video must be.

    Attributes:
        profile: size and rate.
        frames: pictures, and by that the length of picture and sound.
        has_song: whether there is exactly one audio stream, or none.
        payload: what `join_clips` gave for its clips, when they were verified frame by frame:
            equal bytes under equal parameter sets decode to equal pictures, so they need not be decoded
            again. `None` has every picture decoded.
        sound: what `copy_song` gave, when the song that it copied had been decoded to its end; `None` has the
            sound decoded.
    """

    profile: RenderProfile
    frames: int
    has_song: bool
    payload: str | None = None
    sound: str | None = None


def verify_video(path: Path, expected: Expected) -> None:
    """Check container, streams, every time and every packet of a finished video.

    Raises:
        MixError: `join_failed`, with everything that is wrong.
    """
    try:
        faults = list(_faults(path, expected))
    except (av.FFmpegError, struct.error) as error:
        faults = [f"it cannot be read to its end: {error}"]
    if faults:
        raise MixError(MixFailure.JOIN_FAILED, f"the joined video is not right: {'; '.join(faults)}")


def _faults(path: Path, expected: Expected) -> Iterator[str]:
    if not is_faststart(path):
        yield "its index is not at the front"
    with av.open(path) as video:
        if len(video.streams.video) != 1 or len(video.streams.audio) != int(expected.has_song):
            yield f"it has the streams {[stream.type for stream in video.streams]}"
            return
        yield from _picture_faults(video.streams.video[0], expected.profile)
        # Two passes over the file: the packets as they lie there, then what comes out of them.
        yield from _grid_faults(video, expected)
    with av.open(path) as video:
        if expected.payload is None:
            yield from _decoding_faults(video, expected)
    if expected.has_song:
        with av.open(path) as video:
            yield from _sound_faults(video, expected)


def is_faststart(path: Path) -> bool:
    """Whether the index (`moov`) lies before the media (`mdat`)."""
    with path.open("rb") as file:
        while len(header := file.read(8)) == 8:  # noqa: PLR2004 - size and kind of an MP4 box
            size, kind = struct.unpack(">I4s", header)
            if kind in (b"moov", b"mdat"):
                return bool(kind == b"moov")
            read = 8
            if size == 1:
                size, read = struct.unpack(">Q", file.read(8))[0], 16
            if size < read:
                return False
            file.seek(size - read, 1)
    return False


def _picture_faults(stream: av.VideoStream, profile: RenderProfile) -> Iterator[str]:
    codec = stream.codec_context
    found = {
        "codec": codec.name,
        "pixel format": codec.pix_fmt,
        "width": codec.width,
        "height": codec.height,
        "primaries": codec.color_primaries,
        "transfer": codec.color_trc,
        "matrix": codec.colorspace,
        "range": codec.color_range,
    }
    wanted = {
        "codec": "h264",
        "pixel format": "yuv420p",
        "width": profile.width,
        "height": profile.height,
        "primaries": BT709,
        "transfer": BT709,
        "matrix": BT709,
        "range": LIMITED_RANGE,
    }
    for name, value in wanted.items():
        if found[name] != value:
            yield f"{name} is {found[name]}, not {value}"


def _grid_faults(video: av.container.InputContainer, expected: Expected) -> Iterator[str]:
    stream = video.streams.video[0]
    rate = expected.profile.rate
    tick = ticks_per_frame(rate)
    if stream.time_base != Fraction(1, timescale(rate)):
        yield f"its clock ticks every {stream.time_base} s"
        return
    digest = sha256()
    times: list[int | None] = []
    for packet in video.demux(stream):
        if packet.size:
            times.append(packet.pts)
            digest.update(bytes(packet))
    if sorted(time for time in times if time is not None) != [k * tick for k in range(expected.frames)]:
        yield f"{len(times)} pictures are not {expected.frames} at every 1/{rate} s from 0"
    if stream.duration != expected.frames * tick:
        yield f"its picture lasts {stream.duration} ticks, not {expected.frames * tick}"
    if expected.payload not in (None, digest.hexdigest()):
        yield "its coded pictures are not those of the clips"


def _decoding_faults(video: av.container.InputContainer, expected: Expected) -> Iterator[str]:
    stream = video.streams.video[0]
    stream.thread_type = "AUTO"
    corrupt = decoded = 0
    for frame in video.decode(stream):
        decoded += 1
        corrupt += frame.is_corrupt
    if corrupt or decoded != expected.frames:
        yield f"{decoded} of {expected.frames} pictures decode, {corrupt} of them damaged"


def _sound_faults(video: av.container.InputContainer, expected: Expected) -> Iterator[str]:
    stream = video.streams.audio[0]
    codec = stream.codec_context
    if (codec.name, codec.sample_rate, codec.layout.name) != ("aac", SAMPLE_RATE, "stereo"):
        yield f"its sound is {codec.name} at {codec.sample_rate} Hz, {codec.layout.name}"
        return
    packets = [packet for packet in video.demux(stream) if packet.size]
    first, last = _span(packets)
    wanted = samples_of(expected.frames, expected.profile.rate)
    if first not in (0, -AAC_FRAME):
        yield f"its sound begins at sample {first}"
    if last != wanted:
        yield f"its sound ends at sample {last}, not {wanted}"
    if expected.sound is not None:
        if expected.sound != _digest(packets):
            yield "its sound is not that of the song"
        return
    heard = sum(frame.samples for packet in packets for frame in packet.decode())
    if not wanted <= heard < wanted + AAC_FRAME:
        yield f"{heard} samples of sound decode, not {wanted}"


def _digest(packets: "Sequence[Packet[av.AudioStream]]") -> str:
    digest = sha256()
    for packet in packets:
        digest.update(bytes(packet))
    return digest.hexdigest()


def _span(packets: Sequence["Packet[av.AudioStream]"]) -> tuple[int | None, int | None]:
    """Times of the first packet's begin and the last one's end, in samples."""
    times = [packet.pts for packet in packets]
    if not times or times[0] is None or times[-1] is None or packets[0].time_base != Fraction(1, SAMPLE_RATE):
        return None, None
    return times[0], times[-1] + (packets[-1].duration or 0)
