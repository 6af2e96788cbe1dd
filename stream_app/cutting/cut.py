"""Cuts a clip: index, choose, decode, paint, encode."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, repeat
from pathlib import Path

import av

from stream_app.clip.encoding import ClipWriter, black_picture
from stream_app.cutting.decode import AbsentBytesError, decode_wanted
from stream_app.cutting.frame_choice import choose_frames
from stream_app.cutting.index import FileIdentity, SourceIndex
from stream_app.cutting.lyrics.overlay import Lettering
from stream_app.cutting.orders import CutOrder
from stream_app.cutting.picture import Painter
from stream_app.cutting.rebase import index_to_cut
from stream_app.domain.errors import SourceError
from topics.reasons import FallbackReason

METHOD, METHOD_REBASED = "pyav-exact", "pyav-exact-rebased"


@dataclass(frozen=True)
class Cut:
    """What a clip that was just made shows; of a cut, read from the frames that were decoded.

    Attributes:
        frames: all of them.
        black_frames: how many at its end are black, because the source had no more for the extension.
        first_source_ms: presentation time of the first source frame shown, on the source's clock; None
            without one.
        last_source_ms: of the last one.
        method: `pyav-exact`, or `pyav-exact-rebased` when a copy on a straight clock was cut.
        payload: SHA-256 of the coded pictures, as the encoder gave them.
        undrawn: characters of the overlay that no font here has.
    """

    frames: int
    black_frames: int
    first_source_ms: int | None
    last_source_ms: int | None
    method: str
    payload: str
    undrawn: str = ""


def cut_clip(order: CutOrder, out: Path) -> Cut:
    """Write the clip of `order` to `out`; the caller verifies it. Scratch copies go beside `out`.

    Raises:
        SourceError: `source_missing`, `source_invalid`, `source_too_short` or `cut_failed`; `out` is then
            not there.
        OwnFaultError: our disk is full, or there is nothing to draw the overlay with.
    """
    before = FileIdentity.of(order.source)
    index = index_to_cut(order.source, out, order.clip_timeout_ms / 1000)
    cut = _cut(order, index, out)
    if FileIdentity.of(order.source) != before:
        out.unlink(missing_ok=True)
        raise _failed(order, "it changed while it was being cut")
    return cut


def _cut(order: CutOrder, index: SourceIndex, out: Path) -> Cut:
    rate = order.profile.rate
    choice = choose_frames(index.clock, order.start_ms, order.frames, order.extend_frames, rate)
    showings = {pts: len(list(same)) for pts, same in groupby(choice.pts)}
    shown: list[int] = []
    lettering = Lettering(order.overlay, order.profile, out)
    with ClipWriter(out, order.profile) as writer:
        try:
            for picture in _pictures(index, showings, order, shown):
                writer.add(lettering.over(picture, writer.frames))
        except (AbsentBytesError, MemoryError):
            raise
        except (SourceError, av.FFmpegError) as error:
            # An extension takes what there is; the line's own frames are all or nothing.
            if writer.frames < order.frames:
                raise error if isinstance(error, SourceError) else _failed(order, str(error)) from error
        taken = writer.frames
        total = order.frames + order.extend_frames
        black = black_picture(order.profile)
        for _ in range(total - taken):
            writer.add(black)
    return Cut(
        frames=total,
        black_frames=total - taken,
        first_source_ms=index.clock.ms(shown[0]),
        last_source_ms=index.clock.ms(shown[-1]),
        method=METHOD if index.path == index.origin else METHOD_REBASED,
        payload=writer.payload,
        undrawn=lettering.undrawn,
    )


def _pictures(
    index: SourceIndex, showings: dict[int, int], order: CutOrder, shown: list[int]
) -> Iterator[av.VideoFrame]:
    """Yield the picture of each frame in turn, and note in `shown` which source frames they are."""
    painter = Painter(order.profile, index.sample_aspect_ratio)
    for source in decode_wanted(index, list(showings)):
        picture = painter.paint(source.frame)
        shown.append(source.pts)
        yield from repeat(picture, showings[source.pts])


def _failed(order: CutOrder, complaint: str) -> SourceError:
    return SourceError(
        FallbackReason.CUT_FAILED, f"{order.source.path}: {complaint}", stage="cut", retryable=True
    )
