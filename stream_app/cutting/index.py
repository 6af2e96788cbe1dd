"""When each frame of a source is shown: its packets read once, nothing decoded."""

import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from stream_app.cutting.damage import Complaint, Damage, ReadPacket, complaints
from stream_app.cutting.frame_choice import SourceClock
from stream_app.cutting.matroska import MATROSKA, losses
from stream_app.cutting.rhythm import holes, is_displaced, lost_fragments, unshown
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import ByteSpan, SourceFile
from topics.reasons import FallbackReason

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,ogg,nut"
"""Demuxers that read one file. A playlist (hls, dash, concat) would open others; a picture is no video."""

INDEXED_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})
"""Whose clocks begin where their index says, and not at the first packet that is found."""

SILENT_FORMATS = frozenset({"mpeg", "asf", "flv"})
"""Demuxers that pass over a loss without a word, or do not know where their file should have ended.

MPEG-TS, which counts its packets, is looked at in `rebase`."""

COUNTING_FORMAT = "avi"

_limits = {"pixels": 8192 * 4352}

MAX_FRAMES = 2_000_000
"""About 9 hours at 60 fps: an index of 16 MB, and some 200 MB while it is made."""


@dataclass(frozen=True)
class FileIdentity:
    """What tells one content of a path from the next without reading it."""

    path: Path
    bytes: int
    version: str

    @classmethod
    def of(cls, file: SourceFile) -> "FileIdentity":
        """The identity of what is in `file` now.

        Raises:
            SourceError: `source_missing`.
        """
        try:
            facts = file.path.stat()
        except OSError as error:
            raise SourceError(
                FallbackReason.SOURCE_MISSING, f"{file.path} cannot be read: {error.strerror}", stage="probe"
            ) from error
        # A fetched file changes its time whenever more of it arrives, but never its content.
        version = file.identity or f"{facts.st_mtime_ns}/{facts.st_ino}"
        return cls(file.path, facts.st_size, version)


@dataclass(frozen=True)
class SourceIndex:
    """A source's video stream as its container tells it.

    Attributes:
        path: the file that is read.
        origin: the file that it stands for: itself, or the source of a copy.
        format: the demuxer's names for it, such as `mov,mp4,m4a,3gp,3g2,mj2`.
        stream: the stream's place in the file.
        clock: when each frame is shown. Its zero is the smallest presentation time, edit list applied.
        sample_aspect_ratio: width of a pixel over its height; None when the file does not say.
        packets: how many there are.
        damage: where frames may show something else.
        places: of AVI, which counts frames instead of telling times: where each packet lies, and its pts.
        present: the bytes that are there, when not all are.
    """

    path: Path
    origin: Path
    format: str
    stream: int
    clock: SourceClock
    sample_aspect_ratio: Fraction | None
    packets: int
    damage: Damage
    places: tuple[Sequence[int], Sequence[int]] | None = None
    present: tuple[ByteSpan, ...] | None = None

    def part(self, file: SourceFile) -> "SourceIndex":
        """The same content's index, for the part of it that is in `file`."""
        return replace(self, clock=replace(self.clock, starts_at=file.starts_at), present=file.present)


def limit_pixels(max_pixels: int) -> None:
    """Refuse sources with larger frames in this process from now on; call it before anything is indexed.

    A header of a few bytes can ask a decoder for gigabytes.
    """
    _limits["pixels"] = max_pixels


@contextmanager
def open_source(path: Path, *, parse: bool = True) -> Iterator[InputContainer]:
    """Open a local file as one of `FORMATS`, whatever its name says.

    Args:
        path: the file.
        parse: whether FFmpeg may look into the packets; where they are not there, it would believe the zeros
            that it reads more than the index, about keyframes for one.

    Raises:
        SourceError: `source_invalid`, when it is none of them; `source_missing`, when it cannot be read.
    """
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    if not parse:
        options["fflags"] = "+noparse"
    try:
        container = av.open(f"file:{path}", container_options=options)
    except (av.error.FileNotFoundError, av.error.PermissionError) as error:
        raise SourceError(
            FallbackReason.SOURCE_MISSING, f"{path} cannot be read: {error}", stage="probe"
        ) from error
    except (av.FFmpegError, ValueError) as error:
        raise invalid(path, f"is no video file of a known kind ({error})") from error
    with container:
        yield container


def index_source(file: SourceFile) -> SourceIndex:
    """The index of the first real video stream of a file; remembered while the file stays the same.

    Args:
        file: the file; of one that is not all there, its index must be.

    Raises:
        SourceError: `source_invalid` or `source_missing`.
    """
    return read_index(FileIdentity.of(file), ()).part(file)


# Every line of a mix needs its source's index again; ten minutes at 60 fps take 0.3 MB.
@lru_cache(maxsize=16)
def read_index(identity: FileIdentity, breaks: tuple[int, ...]) -> SourceIndex:
    """The index of a whole file; remembered.

    Args:
        identity: the file, as it is now.
        breaks: numbers of packets before which the data are known to be broken, besides those that show.

    Raises:
        SourceError: `source_invalid` or `source_missing`.
    """
    path = identity.path
    with complaints() as said, open_source(path) as container:
        stream = video_stream(container, path)
        try:
            reading = _read_through(container, stream, path, said)
        except (av.FFmpegError, OSError) as error:
            raise invalid(path, f"cannot be read to its end ({error})") from error
        if 0 in reading.breaks and container.format.name not in INDEXED_FORMATS:
            raise invalid(path, "is damaged at its start, so that nobody can tell when its clock begins")
        # One that is lost shifts all that follow.
        is_counted = container.format.name == COUNTING_FORMAT
        if is_counted and stream.frames not in (0, len(reading.packets)):
            raise invalid(path, f"has {len(reading.packets)} frames where its header says {stream.frames}")
        return SourceIndex(
            path=path,
            origin=path,
            format=container.format.name,
            stream=stream.index,
            clock=_clock(reading, stream, path),
            sample_aspect_ratio=stream.sample_aspect_ratio,
            packets=len(reading.packets),
            damage=Damage.around(reading.packets, [*reading.breaks, *breaks]),
            places=reading.places if is_counted else None,
        )


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is no cover picture.

    Raises:
        SourceError: `source_invalid`.
    """
    still = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & still:
            if stream.codec_context is None:
                raise invalid(path, "has video of a kind that cannot be decoded here")
            if stream.codec_context.width * stream.codec_context.height > _limits["pixels"]:
                raise invalid(path, f"has frames of more than {_limits['pixels']} pixels (RENDER_MAX_PIXELS)")
            return stream
    raise invalid(path, "has no video stream")


def packets_of(container: InputContainer, stream: VideoStream) -> "Iterator[av.Packet[VideoStream]]":
    """Yield the packets of `stream`, then an empty one."""
    try:
        yield from container.demux(stream)
    except IndexError:
        # PyAV trips at the end over streams that came up on the way, as damaged transport streams have them.
        last = cast("av.Packet[VideoStream]", av.Packet())
        last.stream = stream
        yield last


@dataclass
class _Reading:
    """What one pass over the packets found."""

    packets: list[ReadPacket]
    positions: Sequence[int]
    breaks: list[int]

    @property
    def places(self) -> tuple[Sequence[int], Sequence[int]]:
        """Where each packet lies, and its pts."""
        return list(self.positions), [packet.pts for packet in self.packets]


def _read_through(
    container: InputContainer, stream: VideoStream, path: Path, said: list[Complaint]
) -> _Reading:
    _read_only(container, stream)
    packets: list[ReadPacket] = []
    positions = array("q")
    breaks: list[int] = []
    demuxer = container.format.name
    for packet in packets_of(container, stream):
        if any(who == demuxer for _, who, _ in said):
            breaks.append(len(packets))
        said.clear()
        if packet.size == 0:  # it only ends the stream
            continue
        packets.append(_read(packet, path))
        positions.append(max(packet.pos or 0, positions[-1] if positions else 0))
        if packet.is_corrupt:
            breaks.append(len(packets))
        if len(packets) > MAX_FRAMES:
            raise invalid(path, f"has more than {MAX_FRAMES} frames")
    breaks += _silent_losses(demuxer, packets, positions, path)
    return _Reading(packets, positions, breaks)


def _silent_losses(
    demuxer: str, packets: Sequence[ReadPacket], positions: Sequence[int], path: Path
) -> list[int]:
    """Numbers of packets before which something was lost without a word of the demuxer."""
    if demuxer in SILENT_FORMATS:
        return [*holes(packets), *unshown(packets)]
    if demuxer in INDEXED_FORMATS:
        return [*lost_fragments(packets), *unshown(packets)]
    return losses(path, positions) if demuxer == MATROSKA else []


def _read(packet: "av.Packet[VideoStream]", path: Path) -> ReadPacket:
    if packet.has_sidedata("encryption_info"):
        raise invalid(path, "is encrypted")
    if packet.pts is None:
        raise invalid(path, "has frames without a presentation time; remux it to mp4 or mkv")
    return ReadPacket(packet.pts, packet.is_keyframe, packet.dts, packet.duration or 0, packet.is_discard)


def _read_only(container: InputContainer, stream: VideoStream) -> None:
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def _clock(reading: _Reading, stream: VideoStream, path: Path) -> SourceClock:
    shown = sorted((packet.pts, packet.duration) for packet in reading.packets if not packet.is_hidden)
    if not shown or stream.time_base is None:
        raise invalid(path, "has no frames")
    if is_displaced(reading.packets):
        raise invalid(path, "says that frames are shown far from where they belong: its index is damaged")
    times = array("q", (pts for pts, _ in shown))
    if any(before == after for before, after in pairwise(times)):
        raise invalid(path, "shows two frames at one time: its clock runs twice")
    return SourceClock(times, _end(times, shown[-1][1]), Fraction(stream.time_base))


def _end(times: "array[int]", last_duration: int) -> int:
    """The last frame lasts as long as its packet says, else as long as the frames do on average."""
    if last_duration <= 0:
        last_duration = max(1, (times[-1] - times[0]) // max(1, len(times) - 1))
    return times[-1] + last_duration


def invalid(path: Path, what: str) -> SourceError:
    """The refusal of a source that is not decodable as video: `what` completes "PATH ..."."""
    return SourceError(FallbackReason.SOURCE_INVALID, f"{os.fspath(path)} {what}", stage="probe")
