"""The one place that says how a clip is encoded, so that all clips of a profile can be joined by stream copy.

A join by stream copy needs one H.264 parameter set for the whole mix. It changes with preset, crf, size,
rate, colour tags and the build of the encoder, so all of those are pinned here, and whoever writes picture
(cuts, placeholders, fillers) does it through `ClipWriter`.
"""

import io
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import av
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from stream_app.domain.errors import OwnFaultError
from topics.profile import Quality, RenderProfile

METHOD_VERSION = 4
"""Raise it whenever the same order would give other pictures: clips cut before are then not recalled."""

BT709 = 1
LIMITED_RANGE = 1
"""Both numbers are those of ITU-T H.273, as FFmpeg counts them."""

MIN_TIMESCALE, TIMESCALE_FACTOR = 1000, 512
KEYFRAME_EVERY_S = 4

MOVFLAGS = "+frag_keyframe+empty_moov+default_base_moof"
"""Fragmented: the only kind of mp4 whose clock every joiner reads exactly."""

# "standard" takes 0.55 of the CPU of x264's veryfast crf 23 for 1.17 of its bits, 0.2 below its VMAF; without
# B-frames it would be 0.48 for 1.62 of the bits (tests/bench/encoders.py; the table: docs/performance.md).
# Half of veryfast's lookahead saves 15 MB in each cutting process.
_QUALITY: dict[Quality, dict[str, str]] = {
    "draft": {"preset": "ultrafast", "crf": "26"},
    "standard": {
        "preset": "veryfast",
        "crf": "22.5",
        "x264-params": "bframes=2:b-adapt=0:rc-lookahead=5:subme=1:me=dia:partitions=i8x8",
    },
    "high": {"preset": "faster", "crf": "20"},
}


def encoder_options(profile: RenderProfile) -> dict[str, str]:
    """The x264 options of a profile; one thread, because clips are what runs in parallel."""
    keyint = max(1, round(profile.rate * KEYFRAME_EVERY_S))
    return {**_QUALITY[profile.quality], "threads": "1", "g": str(keyint), "a53cc": "0"}


def encoder_build() -> str:
    """Which encoder this process carries: clips of different builds do not join."""
    codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return f"PyAV {av.__version__}, libavcodec {codec}"


def timescale(rate: Fraction) -> int:
    """Ticks a second of a clip's clock: one frame is a whole number of them, and the clock is fine enough."""
    return rate.numerator if rate.numerator >= MIN_TIMESCALE else rate.numerator * TIMESCALE_FACTOR


def _open_output(file: IO[bytes], profile: RenderProfile) -> tuple[OutputContainer, VideoStream]:
    options = {"movflags": MOVFLAGS, "video_track_timescale": str(timescale(profile.rate))}
    container = av.open(file, "w", format="mp4", options=options)
    stream = container.add_stream("libx264", rate=profile.rate, options=encoder_options(profile))
    context = stream.codec_context
    context.width, context.height = profile.width, profile.height
    context.pix_fmt = "yuv420p"
    context.time_base = 1 / profile.rate
    context.bit_rate = 0
    context.sample_aspect_ratio = Fraction(1)
    context.color_range = LIMITED_RANGE
    context.colorspace = context.color_primaries = context.color_trc = BT709
    return container, stream


class ClipWriter:
    """Writes pictures as the frames 0, 1, 2, ... of a clip; on an exception the file is removed.

    Args:
        path: where the clip is made; the caller verifies and stores it afterwards.
        profile: size, rate and quality. Pictures must already have its size, be yuv420p and BT.709 limited.
    """

    def __init__(self, path: Path, profile: RenderProfile) -> None:
        self.frames = 0
        self._path = path
        self._profile = profile
        self._time_base = 1 / profile.rate
        self._encoded = sha256()

    @property
    def payload(self) -> str:
        """SHA-256 of the coded pictures that the encoder has given so far, as MP4 holds them."""
        return self._encoded.hexdigest()

    def __enter__(self) -> Self:
        try:
            # A file of our own, not FFmpeg's: Python reports a full disk at the write that meets it.
            self._file = self._path.open("wb")
        except OSError as error:
            raise OwnFaultError.of_disk(f"write the clip {self._path}", error) from error
        self._container, self._stream = _open_output(self._file, self._profile)
        return self

    def add(self, picture: av.VideoFrame) -> None:
        """Append `picture` as the next frame; the same picture may be added again.

        Raises:
            OwnFaultError: our disk did not take it.
        """
        picture.pts = self.frames
        picture.time_base = self._time_base
        # A decoder leaves its own picture type on the frame, and x264 would obey it.
        picture.pict_type = PictureType.NONE
        self._mux(picture)
        self.frames += 1

    def _mux(self, picture: av.VideoFrame | None) -> None:
        packets = self._stream.encode(picture)
        for packet in packets:
            self._encoded.update(_as_in_mp4(bytes(packet)))
        try:
            self._container.mux(packets)
        except OSError as error:
            raise OwnFaultError.of_disk(f"write the clip {self._path}", error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._mux(None)
                self._container.close()
                self._file.close()
        except OSError as fault:
            raise OwnFaultError.of_disk(f"write the clip {self._path}", fault) from fault
        finally:
            if not self._file.closed:
                self._discard()

    def _discard(self) -> None:
        for resource in (self._container, self._file):
            with suppress(OSError, av.FFmpegError):
                resource.close()
        self._path.unlink(missing_ok=True)


def _as_in_mp4(coded: bytes) -> bytes:
    """H.264 with start codes (ITU-T H.264 Annex B) as MP4 has it: the length of each unit before it."""
    units = [unit.rstrip(b"\0") for unit in coded.split(b"\0\0\1")[1:]]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def black_picture(profile: RenderProfile) -> av.VideoFrame:
    """One black picture of the profile's size, as `ClipWriter.add` takes it."""
    picture = av.VideoFrame(profile.width, profile.height, "yuv420p")
    for plane, value in zip(picture.planes, (16, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    picture.color_range = LIMITED_RANGE
    picture.colorspace = picture.color_primaries = picture.color_trc = BT709
    return picture


def make_black(profile: RenderProfile, frames: int, out: Path) -> None:
    """Write a clip of `frames` black frames to `out`.

    Raises:
        OwnFaultError: our disk did not take it.
    """
    picture = black_picture(profile)
    with ClipWriter(out, profile) as writer:
        for _ in range(frames):
            writer.add(picture)


@lru_cache(maxsize=32)
def parameter_set(profile: RenderProfile) -> bytes:
    """The extradata (`avcC`: SPS and PPS) that every clip of `profile` carries with this encoder build."""
    memory = io.BytesIO()
    container, stream = _open_output(memory, profile)
    picture = black_picture(profile)
    picture.pts, picture.time_base = 0, 1 / profile.rate
    container.mux(stream.encode(picture))
    container.mux(stream.encode(None))
    container.close()
    memory.seek(0)
    with av.open(memory) as clip:
        return clip.streams.video[0].codec_context.extradata or b""
