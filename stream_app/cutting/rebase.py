"""MPEG-TS on a clock that FFmpeg has put straight: a stream copy into mp4.

A transport stream has no index, its clock may jump or wrap, and a seek lands on the wrong frame without a
word. The copy is made once for all clips of a source and shared between processes.
"""

import hashlib
import os
from pathlib import Path

import ffmpeg
from imageio_ffmpeg import get_ffmpeg_exe

from stream_app.child_process import TimeLimitError, run_to_end
from stream_app.cutting.index import FileIdentity, SourceIndex, index_source, invalid
from stream_app.domain.errors import OwnFaultError, SourceError
from topics.reasons import FallbackReason

REBASED_FORMATS = frozenset({"mpegts"})


def index_to_cut(path: Path, scratch: Path, timeout_s: float) -> SourceIndex:
    """The index of `path`, or of its copy on a straight clock when the format needs one.

    Args:
        path: the source.
        scratch: a folder of ours, on our disk, where copies are kept until they are swept.
        timeout_s: limit for making the copy.

    Raises:
        SourceError: `source_invalid`, `source_missing`, or `cut_failed` when the copy ran out of time.
    """
    try:
        index = index_source(path)
    except SourceError:
        if not _is_transport_stream(path):
            raise
    else:
        if index.format not in REBASED_FORMATS:
            return index
    return index_source(_rebased(path, scratch, timeout_s))


def _is_transport_stream(path: Path) -> bool:
    """By its sync bytes; a clock that runs twice is refused by the index but straight after the copy."""
    with path.open("rb") as file:
        head = file.read(188 * 5)
    return len(head) == 188 * 5 and all(head[at] == 0x47 for at in range(0, len(head), 188))  # noqa: PLR2004


def _rebased(path: Path, scratch: Path, timeout_s: float) -> Path:
    identity = FileIdentity.of(path)
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
        _copy(path, draft, timeout_s)
        draft.replace(copy)
    finally:
        draft.unlink(missing_ok=True)
    return copy


def _copy(path: Path, draft: Path, timeout_s: float) -> None:
    source = ffmpeg.input(f"file:{path}", protocol_whitelist="file", format="mpegts")
    streams = [source["V:0"], source["a:0?"]]
    arguments = ffmpeg.output(*streams, f"file:{draft}", c="copy", copyinkf=None, f="mp4").compile(
        cmd=[get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    )
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
