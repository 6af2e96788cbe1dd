"""Judges a clip by what is in the file: an exit code, a packet count or a header proves nothing."""

from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream_app.clip.encoding import BT709, LIMITED_RANGE, parameter_set
from stream_app.clip.reading import open_clip
from stream_app.domain.errors import SourceError
from topics.profile import RenderProfile
from topics.reasons import FallbackReason


def verify_clip(path: Path, profile: RenderProfile, frames: int) -> None:
    """Check that `path` holds exactly `frames` frames of `profile`, on the places of its grid, and decodes.

    Decoding it costs about an eighth of making it, and is the only look that a cut-off file does not pass.

    Raises:
        SourceError: `cut_failed`, with what was seen.
    """
    try:
        with open_clip(path) as clip:
            if [stream.type for stream in clip.streams] != ["video"]:
                raise _refused(path, f"its streams are {[stream.type for stream in clip.streams]}")
            stream = clip.streams.video[0]
            _check_stream(path, stream, profile)
            _check_frames(path, clip, stream, profile.rate, frames)
    except (av.FFmpegError, OSError) as error:
        raise _refused(path, f"it does not read: {error}") from error


def _check_stream(path: Path, stream: VideoStream, profile: RenderProfile) -> None:
    context = stream.codec_context
    seen = (context.name, context.width, context.height, context.pix_fmt)
    if seen != ("h264", profile.width, profile.height, "yuv420p"):
        raise _refused(path, f"it is {seen}, not h264 yuv420p {profile.width}x{profile.height}")
    tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    if tags != (LIMITED_RANGE, BT709, BT709, BT709):
        raise _refused(path, f"its colour tags are {tags}, not BT.709 limited")
    if context.extradata != parameter_set(profile):
        raise _refused(path, "its parameter set is not the profile's, so it would not join")


def _check_frames(path: Path, clip: InputContainer, stream: VideoStream, rate: Fraction, frames: int) -> None:
    # One thread: the next clip is being cut on the other cores.
    stream.codec_context.thread_count = 1
    # Nobody looks at these pictures: smoothing them would show no fault, and cost a fifth of the check.
    stream.codec_context.options = {"err_detect": "explode", "skip_loop_filter": "all"}
    packets: list[int] = []
    shown: list[int] = []
    for packet in clip.demux(stream):
        if packet.pts is not None:
            if packet.is_corrupt or (not packets and not packet.is_keyframe):
                raise _refused(path, "its first packet is no keyframe, or a packet is corrupt")
            packets.append(packet.pts)
        for frame in packet.decode():
            if frame.is_corrupt or frame.pts is None:
                raise _refused(path, f"its frame {len(shown)} is corrupt")
            shown.append(frame.pts)
    if stream.time_base is None or not packets:
        raise _refused(path, "it has no frames")
    tick = 1 / (rate * stream.time_base)
    first = min(packets)
    grid = [first + tick * k for k in range(frames)]
    if sorted(packets) != grid:
        raise _refused(path, f"it has {len(packets)} packets that are not the {frames} places of its clock")
    if shown != grid:
        raise _refused(path, f"{len(shown)} of its {frames} frames decode, or in another order")


def _refused(path: Path, seen: str) -> SourceError:
    return SourceError(
        FallbackReason.CUT_FAILED, f"the clip {path.name} was refused: {seen}", stage="verify", retryable=True
    )
