"""MPEG-TS on a clock that FFmpeg has put straight: a stream copy into mp4.

A transport stream has no index, its clock may jump or wrap, and a seek lands on the wrong frame without a
word. The copy is made once for all clips of a source and shared between processes.
"""

import hashlib
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import ffmpeg
from imageio_ffmpeg import get_ffmpeg_exe

from stream_app.child_process import TimeLimitError, run_to_end
from stream_app.clip.store import COPY_PREFIX
from stream_app.cutting.continuity import losses
from stream_app.cutting.damage import ReadPacket
from stream_app.cutting.index import (
    FileIdentity,
    SourceIndex,
    invalid,
    open_source,
    packets_of,
    video_stream,
)
from stream_app.cutting.rhythm import contradicts_itself, holes, strays
from stream_app.cutting.shelf import shared_index
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.sources.source_file import SourceFile
from topics.reasons import FallbackReason

REBASED_FORMATS = frozenset({"mpegts"})


def index_to_cut(source: SourceFile, out: Path, timeout_s: float) -> SourceIndex:
    """The index of a source, or of its copy on a straight clock when the format needs one.

    Args:
        source: the source.
        out: a temporary name of ours. Index and copy are kept beside it, for all, until they are swept.
        timeout_s: limit for making the copy.

    Raises:
        SourceError: `source_invalid`, `source_missing`, or `cut_failed` when the copy ran out of time.
        OwnFaultError: our disk is full.
    """
    identity = FileIdentity.of(source)
    if _format(identity) not in REBASED_FORMATS:
        return shared_index(source, out.parent)
    stream = _read_through(identity)
    path = _rebased(identity, out, timeout_s)
    # Its time tells when it was last used; its name, what it is a copy of.
    copy = SourceFile(path, identity=path.name, starts_at=source.starts_at)
    index = shared_index(copy, out.parent, stream.breaks)
    if stream.breaks and index.packets != stream.packets:
        raise invalid(source.path, "is damaged, and its copy does not show where")
    if stream.torn and _rhythm(index.clock.pts) != stream.rhythm:
        raise invalid(source.path, "is damaged, and nobody can tell where its clock jumps on purpose")
    return replace(index, origin=source.path)


@lru_cache(maxsize=64)
def _format(identity: FileIdentity) -> str:
    with open_source(identity.path) as container:
        return container.format.name


@dataclass(frozen=True)
class _Stream:
    """What only the transport stream itself knows: the copy is whole, whatever was lost before.

    Attributes:
        packets: how many the video has.
        breaks: numbers of packets around which something was lost.
        torn: whether something was lost within a group of pictures, which is no place where recordings
            are joined on purpose; or its times contradict one another.
        rhythm: of its clock.
    """

    packets: int
    breaks: tuple[int, ...]
    torn: bool
    rhythm: bytes


def _rhythm(times: Iterable[int]) -> bytes:
    """The same for two clocks that differ by a constant: a digest of the steps from frame to frame."""
    steps = array("q", (after - before for before, after in pairwise(sorted(times))))
    return hashlib.sha256(steps).digest()


@lru_cache(maxsize=64)
def _read_through(identity: FileIdentity) -> _Stream:
    positions: list[int] = []
    breaks: list[int] = []
    read: list[ReadPacket] = []
    with open_source(identity.path) as container:
        for packet in packets_of(container, video_stream(container, identity.path)):
            if packet.size:
                if packet.pts is not None:
                    read.append(ReadPacket(packet.pts, packet.is_keyframe, packet.dts))
                # What follows the first packet of a frame has no position of its own.
                positions.append(max(packet.pos or 0, positions[-1] if positions else 0))
            if packet.is_corrupt:
                breaks.append(len(positions))
    # The frame that a loss falls into starts before it; one that starts at it is whole.
    lost = [bisect_left(positions, position) for position in losses(identity.path)]
    torn = any(_is_within_group(read, number) for number in lost) or contradicts_itself(read)
    breaks += lost
    breaks += strays(read)
    if len(positions) in holes(read):
        breaks.append(len(positions))
    return _Stream(len(positions), tuple(sorted(breaks)), torn, _rhythm(packet.pts for packet in read))


def _is_within_group(packets: Sequence[ReadPacket], number: int) -> bool:
    return number < len(packets) and not packets[number].is_key


def _rebased(identity: FileIdentity, out: Path, timeout_s: float) -> Path:
    name = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
    copy = out.with_name(f"{COPY_PREFIX}{name}.mp4")
    try:
        os.utime(copy)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OwnFaultError.of_disk(f"use {copy}", error) from error
    else:
        return copy
    draft = out.with_stem(f"{out.stem}-rebased")
    try:
        _copy(identity.path, draft, timeout_s)
        draft.replace(copy)
    finally:
        draft.unlink(missing_ok=True)
    return copy


def _copy(path: Path, draft: Path, timeout_s: float) -> None:
    source = ffmpeg.input(f"file:{path}", protocol_whitelist="file", format="mpegts")
    # Every packet, from the first on and without an edit list, so that packets keep their numbers.
    options = {"c": "copy", "copyinkf": None, "use_editlist": "0", "f": "mp4"}
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    arguments = ffmpeg.output(source["V:0"], f"file:{draft}", **options).compile(cmd=command)
    try:
        ended = run_to_end(arguments, timeout_s=timeout_s)
    except TimeLimitError as error:
        raise SourceError(
            FallbackReason.CUT_FAILED,
            f"{path}: putting its clock straight ran out of time",
            stage="cut",
            retryable=True,
        ) from error
    except OSError as error:
        raise OwnFaultError(f"cannot start ffmpeg: {error.strerror}") from error
    if "No space left" in ended.stderr:
        raise OwnFaultError(f"cannot write {draft}: {ended.stderr}; check the artifacts disk")
    if ended.returncode != 0:
        raise invalid(path, f"cannot be copied onto a straight clock ({ended.stderr[-500:]})")
