"""Judges a clip by what is in the file: an exit code, a packet count or a header proves nothing."""

from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream_app.clip.encoding import BT709, LIMITED_RANGE, parameter_set
from stream_app.clip.reading import open_clip
from stream_app.domain.errors import SourceError
from topics.profile import RenderProfile
from topics.reasons import FallbackReason


def verify_clip(path: Path, profile: RenderProfile, frames: int, *, payload: str | None = None) -> None:
    """Check that `path` holds exactly `frames` frames of `profile`, on the places of its grid, and no other.

    Args:
        path: the clip.
        profile: of its mix.
        frames: how many it must have.
        payload: what `ClipWriter.payload` said of them. Pictures that are byte for byte what the encoder
            gave need not be decoded to be believed, which takes an eighth of the time of making them.
            `None` has every picture decoded.

    Raises:
        SourceError: `cut_failed`, with what was seen.
    """
    try:
        with open_clip(path) as clip:
            if [stream.type for stream in clip.streams] != ["video"]:
                raise _refused(path, f"its streams are {[stream.type for stream in clip.streams]}")
            stream = clip.streams.video[0]
            _check_stream(path, stream, profile)
            packets = _packets(path, clip, stream)
            _check_grid(
                path,
                stream,
                [packet.pts for packet in packets if packet.pts is not None],
                profile.rate,
                frames,
            )
            if payload is None:
                _check_pictures(path, stream, packets)
            elif payload != _payload(packets):
                raise _refused(path, "its coded pictures are not those that were encoded")
    except (av.FFmpegError, OSError) as error:
        raise _refused(path, f"it does not read: {error}") from error


def _check_stream(path: Path, stream: VideoStream, profile: RenderProfile) -> None:
    context = stream.codec_context
    seen = (context.name, context.width, context.height)
    if seen != ("h264", profile.width, profile.height):
        raise _refused(path, f"it is {seen}, not h264 of {profile.width}x{profile.height}")
    tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    if tags != (LIMITED_RANGE, BT709, BT709, BT709):
        raise _refused(path, f"its colour tags are {tags}, not BT.709 limited")
    if context.extradata != parameter_set(profile):
        raise _refused(path, "its parameter set is not the profile's, so it would not join")


def _packets(path: Path, clip: InputContainer, stream: VideoStream) -> "list[av.Packet[VideoStream]]":
    packets = [packet for packet in clip.demux(stream) if packet.size]
    if not packets:
        raise _refused(path, "it has no frames")
    if not packets[0].is_keyframe or any(packet.is_corrupt for packet in packets):
        raise _refused(path, "its first packet is no keyframe, or a packet is corrupt")
    return packets


def _check_grid(path: Path, stream: VideoStream, times: list[int], rate: Fraction, frames: int) -> None:
    if stream.time_base is None:
        raise _refused(path, "it has no clock")
    tick = 1 / (rate * stream.time_base)
    if sorted(times) != [min(times) + tick * k for k in range(frames)]:
        raise _refused(path, f"it has {len(times)} packets that are not the {frames} places of its clock")


def _payload(packets: "Sequence[av.Packet[VideoStream]]") -> str:
    digest = sha256()
    for packet in packets:
        digest.update(bytes(packet))
    return digest.hexdigest()


def _check_pictures(path: Path, stream: VideoStream, packets: "Sequence[av.Packet[VideoStream]]") -> None:
    # Nobody looks at these pictures: smoothing them would show no fault.
    stream.codec_context.options = {"err_detect": "explode", "skip_loop_filter": "all"}
    times: list[int | None] = []
    for packet in [*packets, None]:
        for frame in stream.codec_context.decode(packet):
            if frame.is_corrupt:
                raise _refused(path, f"its frame {len(times)} is corrupt")
            times.append(frame.pts)
    if times != sorted(packet.pts for packet in packets if packet.pts is not None):
        raise _refused(path, f"{len(times)} of its {len(packets)} frames decode, or in another order")


def _refused(path: Path, seen: str) -> SourceError:
    return SourceError(
        FallbackReason.CUT_FAILED, f"the clip {path.name} was refused: {seen}", stage="verify", retryable=True
    )
