"""The name of what would be made: two orders with the same recipe give the same pictures."""

import hashlib
import json
import os
from pathlib import Path

from stream_app.clip.encoding import METHOD_VERSION, encoder_build, encoder_options
from stream_app.cutting.lyrics.drawing import drawing_facts
from stream_app.cutting.orders import ClipOrder, CutOrder, Overlay
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

EDGE_BYTES = 1 << 16


def recipe_digest(order: ClipOrder) -> str:
    """SHA-256 over all that decides the pictures of a clip.

    A fetched source counts by its identity. A local one counts by its size, its time of change in ns, and the
    bytes of its first and last 64 KiB; not by its path, so that a copy that keeps its time is the same
    source. The risk taken: a file that is changed only in its middle, keeps its size, and has its time set
    back passes for the old one. Hashing whole sources would cost a read of each for every clip.

    Raises:
        SourceError: `source_missing`, when the source of a cut cannot be read.
    """
    if isinstance(order, CutOrder):
        what: list[object] = [_source(order.source), order.start_ms, order.frames, order.extend_frames]
    else:
        what = [None if order.asset is None else _asset(order.asset), order.frames]
    record = [order.kind, METHOD_VERSION, encoder_build(), _profile(order.profile), what]
    if order.overlay is not None:
        record.append(_overlay(order.overlay))
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _profile(profile: RenderProfile) -> list[object]:
    # Equal rates written differently ("30", "60/2") are equal, and so are profiles that their encoder
    # cannot tell.
    return [profile.width, profile.height, str(profile.rate), profile.fit, encoder_options(profile)]


def _overlay(overlay: Overlay) -> list[object]:
    return [overlay.text, overlay.frames, drawing_facts()]


def _source(source: SourceFile) -> list[object]:
    if source.identity is None:
        return _content(source.path)
    return [source.identity, str(source.starts_at)]


def _asset(asset: Path) -> list[object] | None:
    try:
        return _content(asset)
    except SourceError:
        return None


def _content(path: Path) -> list[object]:
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            head = file.read(EDGE_BYTES)
            file.seek(max(0, facts.st_size - EDGE_BYTES))
            tail = file.read(EDGE_BYTES)
    except OSError as error:
        raise SourceError(
            FallbackReason.SOURCE_MISSING, f"{path} cannot be read: {error.strerror}", stage="probe"
        ) from error
    return [facts.st_size, facts.st_mtime_ns, hashlib.sha256(head + tail).hexdigest()]
