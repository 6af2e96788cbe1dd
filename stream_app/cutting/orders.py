"""What a cutting process is told and what it answers; both travel as JSON between processes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stream_app.sources.source_file import ByteSpan, Need, SourceFile, Times
from topics.profile import RenderProfile

ABSENT = "absent"
"""The stage of a failed cut that needs bytes of its source which were not fetched."""

LOOK_TIMEOUT_MS = 60_000
"""Limit of a look into a source that decodes nothing: reading an hour of video through takes seconds."""


@dataclass(frozen=True)
class Overlay:
    """Lyrics that are drawn into a clip.

    Attributes:
        text: the line's.
        frames: how many frames show it, from the clip's first on: the line's own, not its extension.
    """

    text: str
    frames: int


@dataclass(frozen=True)
class CutOrder:
    """Make the clip of one line from one candidate.

    Attributes:
        source: what stands for the source here.
        start_ms: where the cut starts, on the source's clock.
        frames: the line's own frames; the source must have them.
        extend_frames: frames after them; the source shows what it has, the rest is black.
        profile: of the mix.
        clip_timeout_ms: wall-clock limit of the whole job.
        overlay: drawn over the pictures.
    """

    source: SourceFile
    start_ms: int
    frames: int
    extend_frames: int
    profile: RenderProfile
    clip_timeout_ms: int = 120_000
    overlay: Overlay | None = None
    kind: Literal["cut"] = "cut"


@dataclass(frozen=True)
class PlaceholderOrder:
    """Make the clip of a line that no candidate could be cut for.

    Attributes:
        asset: the placeholder video, looped; None, missing or undecodable gives black.
        frames: of the line and its extension.
        profile: of the mix.
        clip_timeout_ms: wall-clock limit of the whole job.
        overlay: drawn over the pictures.
    """

    asset: Path | None
    frames: int
    profile: RenderProfile
    clip_timeout_ms: int = 120_000
    overlay: Overlay | None = None
    kind: Literal["placeholder"] = "placeholder"


@dataclass(frozen=True)
class LocateOrder:
    """Say which bytes of a file are needed, of which only the index may be there."""

    file: SourceFile
    need: Need
    clip_timeout_ms: int = LOOK_TIMEOUT_MS
    kind: Literal["locate"] = "locate"


@dataclass(frozen=True)
class MeasureOrder:
    """Say when the video of a file begins and ends, on its own clock."""

    path: Path
    clip_timeout_ms: int = LOOK_TIMEOUT_MS
    kind: Literal["measure"] = "measure"


ClipOrder = CutOrder | PlaceholderOrder
Order = ClipOrder | LocateOrder | MeasureOrder


@dataclass(frozen=True)
class CutResult:
    """A clip that was made, verified and stored.

    Attributes:
        sha256: of the clip's bytes.
        path: where it lies in the store.
        bytes: its size.
        frames: own ones and extension, black ones too.
        black_frames: how many at its end are black because the source had no more.
        first_source_ms: presentation time of the first source frame shown, on the source's clock; None
            without one.
        last_source_ms: of the last one.
        method: how it was cut.
        isolation: what stands between the decoder and the rest of the system.
        duration_ms: how long the work took.
        store_ms: how much of it was the storing of what had been cut and verified.
        recalled: whether the recipe had been made before, so that nothing was cut.
        undrawn: characters of the overlay that are not in the picture, because no font here has them.
    """

    sha256: str
    path: Path
    bytes: int
    frames: int
    black_frames: int
    first_source_ms: int | None
    last_source_ms: int | None
    method: str
    isolation: str
    duration_ms: int
    recalled: bool
    undrawn: str = ""
    store_ms: int = 0


@dataclass(frozen=True)
class Located:
    """The bytes that are needed, sorted and apart; None when the file's index does not tell."""

    spans: tuple[ByteSpan, ...] | None


Result = CutResult | Located | Times
"""What comes of a clip order, a locate order and a measure order."""
