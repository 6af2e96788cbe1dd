"""MPEG-TS on a clock that FFmpeg has put straight: a stream copy into mp4.

A transport stream has no index, its clock may jump or wrap, and a seek lands on the wrong frame without a
word. The copy is made once for all clips of a source and shared between processes.
"""

import hashlib
import os
from bisect import bisect_left
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import ffmpeg
from imageio_ffmpeg import get_ffmpeg_exe

from stream_app.child_process import TimeLimitError, run_to_end
from stream_app.cutting.continuity import losses
from stream_app.cutting.index import (
    FileIdentity,
    SourceIndex,
    index_source,
    invalid,
    open_source,
    video_stream,
)
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.sources.source_file import SourceFile
from topics.reasons import FallbackReason

REBASED_FORMATS = frozenset({"mpegts"})


def index_to_cut(source: SourceFile, scratch: Path, timeout_s: float) -> SourceIndex:
    """The index of a source, or of its copy on a straight clock when the format needs one.

    Args:
        source: the source.
        scratch: a folder of ours, on our disk, where copies are kept until they are swept.
        timeout_s: limit for making the copy.

    Raises:
        SourceError: `source_invalid`, `source_missing`, or `cut_failed` when the copy ran out of time.
        OwnFaultError: our disk is full.
    """
    identity = FileIdentity.of(source)
    if _format(identity) not in REBASED_FORMATS:
        return index_source(source)
    packets, breaks = _broken_packets(identity)
    copy = SourceFile(_rebased(identity, scratch, timeout_s), starts_at=source.starts_at)
    index = index_source(copy, breaks)
    if breaks and index.packets != packets:
        raise invalid(source.path, "is damaged, and its copy does not show where")
    return replace(index, origin=source.path)


@lru_cache(maxsize=64)
def _format(identity: FileIdentity) -> str:
    with open_source(identity.path) as container:
        return container.format.name


@lru_cache(maxsize=64)
def _broken_packets(identity: FileIdentity) -> tuple[int, tuple[int, ...]]:
    """How many packets the video has, and around which of them the transport stream lost something.

    Only the stream itself counts what was lost; the copy no longer knows.
    """
    positions: list[int] = []
    breaks: list[int] = []
    with open_source(identity.path) as container:
        for packet in container.demux(video_stream(container, identity.path)):
            if packet.size:
                # What follows the first packet of a frame has no position of its own.
                positions.append(max(packet.pos or 0, positions[-1] if positions else 0))
            if packet.is_corrupt:
                breaks.append(len(positions))
    # The frame that a loss falls into starts before it; one that starts at it is whole.
    breaks += [bisect_left(positions, position) for position in losses(identity.path)]
    return len(positions), tuple(sorted(breaks))


def _rebased(identity: FileIdentity, scratch: Path, timeout_s: float) -> Path:
    name = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
    copy = scratch / f"rebased-{name}.mp4"
    try:
        os.utime(copy)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OwnFaultError(f"cannot use {copy}: {error.strerror}; check the artifacts disk") from error
    else:
        return copy
    draft = scratch / f"{os.getpid()}-{name}.mp4"
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
