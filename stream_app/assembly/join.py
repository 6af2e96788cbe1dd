"""Join the clips of a mix by stream copy, on an exact frame grid.

Every packet gets its time from its place among all frames, never from a sum of durations, so nothing
drifts however many clips there are.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
from av.packet import Packet

from stream_app.clip.encoding import timescale
from stream_app.clip.reading import open_clip
from stream_app.domain.errors import MixError
from topics.reasons import MixFailure

REORDER = 2
"""Pictures that x264 holds back at most, where it has B-frames: it refers to some of them, one level deep."""


def ticks_per_frame(rate: Fraction) -> int:
    """Ticks of the clips' clock (and the video's: it is the same) that one frame lasts."""
    return int(timescale(rate) / rate)


def join_clips(parts: Sequence[Path], frames: Sequence[int], rate: Fraction, out: Path) -> str:
    """Write one video-only MP4 that shows `parts` one after the other.

    Args:
        parts: fragmented MP4s of one H.264 parameter set, each at `rate` from its own zero.
        frames: how many frames each of them must have.
        rate: frames a second of the parts and of the result.
        out: the file to write; frame n of it has presentation time n / rate exactly.

    Returns:
        sha256 over the coded pictures of the parts, one after the other, in decoding order.

    Raises:
        MixError: `join_failed` when a part cannot be read, is off the grid, has another number of frames
            or another parameter set than the first; the message names the part.
        OSError: `out` cannot be written.
    """
    if not parts or len(parts) != len(frames):
        raise MixError(
            MixFailure.JOIN_FAILED, f"{len(parts)} clips with {len(frames)} lengths: nothing to join"
        )
    clock, tick = timescale(rate), ticks_per_frame(rate)
    payload, offset = sha256(), 0
    options = {
        "video_track_timescale": str(clock),
        "movie_timescale": str(clock),
        "fflags": "+bitexact",
    }
    with _open(parts[0], look=True) as first, av.open(out, "w", format="mp4", options=options) as output:
        template = _only_video(first, parts[0])
        parameter_set = template.codec_context.extradata
        # One delay for all clips, though short ones need less: decoding order must never step back.
        delay = REORDER if template.codec_context.has_b_frames else 0
        stream = output.add_stream_from_template(template)
        stream.time_base = time_base = Fraction(1, clock)
        for part, count in zip(parts, frames, strict=True):
            for position, (frame, packet) in enumerate(_read_part(part, count, rate, parameter_set)):
                if position - frame > delay:
                    raise _failed(part, f"holds more than {delay} pictures back")
                payload.update(bytes(packet))
                packet.stream, packet.time_base, packet.duration = stream, time_base, tick
                packet.pts = (offset + frame) * tick
                packet.dts = (offset + position - delay) * tick
                output.mux(packet)
            offset += count
    return payload.hexdigest()


def _read_part(
    part: Path, count: int, rate: Fraction, parameter_set: bytes | None
) -> list[tuple[int, "Packet[av.VideoStream]"]]:
    """The packets of a part in decoding order, each with the number of the frame it holds."""
    with _open(part) as source:
        stream = _only_video(source, part)
        if stream.codec_context.extradata != parameter_set:
            raise _failed(part, "was encoded with another parameter set than the first clip")
        try:
            packets = [packet for packet in source.demux(stream) if packet.size]
        except av.FFmpegError as error:
            raise _failed(part, f"cannot be read to its end: {error}") from error
        numbers = list(_frame_numbers(packets, stream.time_base, rate, part))
    if len(packets) != count:
        raise _failed(part, f"has {len(packets)} frames, {count} were promised")
    if sorted(numbers) != list(range(count)):
        raise _failed(part, f"is not on the grid of {rate} frames a second")
    if not packets[0].is_keyframe:
        raise _failed(part, "does not begin with a keyframe")
    return list(zip(numbers, packets, strict=True))


def _frame_numbers(
    packets: Sequence["Packet[av.VideoStream]"], time_base: Fraction | None, rate: Fraction, part: Path
) -> Iterator[int]:
    times = [packet.pts for packet in packets if packet.pts is not None]
    if time_base is None or len(times) != len(packets):
        raise _failed(part, "has packets without a time")
    zero = min(times, default=0)
    ticks = 1 / (time_base * rate)
    return (round((time - zero) / ticks) for time in times)


def _open(part: Path, *, look: bool = False) -> av.container.InputContainer:
    try:
        return open_clip(part, look=look)
    except av.FFmpegError as error:
        raise _failed(part, f"cannot be opened: {error}") from error


def _only_video(source: av.container.InputContainer, part: Path) -> av.VideoStream:
    if len(source.streams) != 1 or len(source.streams.video) != 1:
        raise _failed(part, "is not a file of exactly one video stream")
    return source.streams.video[0]


def _failed(part: Path, what: str) -> MixError:
    return MixError(MixFailure.JOIN_FAILED, f"clip {part.name} {what}")
