"""The clip that stands in for a line that could not be cut: the placeholder asset, looped, or plain black."""

from collections.abc import Iterator
from itertools import groupby, islice, repeat
from pathlib import Path

import av

from stream_app.clip.encoding import ClipWriter, black_picture
from stream_app.cutting.cut import Cut
from stream_app.cutting.decode import decode_wanted
from stream_app.cutting.frame_choice import choose_frames
from stream_app.cutting.index import SourceIndex
from stream_app.cutting.lyrics.overlay import Lettering
from stream_app.cutting.picture import Painter
from stream_app.cutting.rebase import index_to_cut
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile

METHOD_ASSET, METHOD_BLACK = "placeholder", "black"
REBASE_TIMEOUT_S = 60
KEPT_PICTURES = 16
"""An asset of so few pictures is decoded once and held; a longer one is decoded again for each loop."""


def make_placeholder(
    asset: Path | None, profile: RenderProfile, frames: int, out: Path, lettering: Lettering | None = None
) -> Cut:
    """Write a clip of `frames` frames to `out`: `asset` looped, in the profile's shape and rate.

    An asset that is missing or does not decode gives black: a placeholder never fails for its asset's sake.
    The lyrics are drawn on either: they must not vanish because a source did.

    Returns:
        What was made; its method is `placeholder` or `black`.

    Raises:
        OwnFaultError: our disk did not take it.
    """
    if asset is not None:
        try:
            payload = _write(_loop(asset, profile, frames, out), profile, frames, out, lettering)
        except (SourceError, av.FFmpegError):
            out.unlink(missing_ok=True)
        else:
            return _made(METHOD_ASSET, frames, payload, lettering)
    payload = _write(repeat(black_picture(profile)), profile, frames, out, lettering)
    return _made(METHOD_BLACK, frames, payload, lettering)


def _made(method: str, frames: int, payload: str, lettering: Lettering | None) -> Cut:
    return Cut(frames, 0, None, None, method, payload, lettering.undrawn if lettering else "")


def _write(
    pictures: Iterator[av.VideoFrame],
    profile: RenderProfile,
    frames: int,
    out: Path,
    lettering: Lettering | None,
) -> str:
    """Write the clip; what its payload is."""
    with ClipWriter(out, profile) as writer:
        for frame, picture in enumerate(islice(pictures, frames)):
            writer.add(lettering.over(picture, frame) if lettering else picture)
    return writer.payload


def _loop(asset: Path, profile: RenderProfile, frames: int, out: Path) -> Iterator[av.VideoFrame]:
    index = index_to_cut(SourceFile(asset), out, REBASE_TIMEOUT_S)
    choice = choose_frames(index.clock, start_ms=0, own=1, extension=frames - 1, rate=profile.rate)
    return _pictures(index, choice.pts, profile)


def _pictures(index: SourceIndex, loop: tuple[int, ...], profile: RenderProfile) -> Iterator[av.VideoFrame]:
    """Yield the pictures of the loop for ever."""
    showings = {pts: len(list(same)) for pts, same in groupby(loop)}
    kept = list(_paint_once(index, showings, profile)) if len(showings) <= KEPT_PICTURES else None
    while True:
        for picture, times in kept or _paint_once(index, showings, profile):
            yield from repeat(picture, times)


def _paint_once(
    index: SourceIndex, showings: dict[int, int], profile: RenderProfile
) -> Iterator[tuple[av.VideoFrame, int]]:
    painter = Painter(profile, index.sample_aspect_ratio)
    for source in decode_wanted(index, list(showings)):
        yield painter.paint(source.frame), showings[source.pts]
