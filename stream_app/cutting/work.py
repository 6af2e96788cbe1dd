"""One job of a cutting process: recall or make, verify, store."""

import time
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stream_app.clip.store import ClipStore, StoredClip
from stream_app.clip.verify import verify_clip
from stream_app.cutting.cut import Cut, cut_clip
from stream_app.cutting.locate import locate, measure
from stream_app.cutting.lyrics.overlay import Lettering
from stream_app.cutting.orders import (
    ClipOrder,
    CutOrder,
    CutResult,
    Located,
    LocateOrder,
    MeasureOrder,
    Order,
    PlaceholderOrder,
    Result,
)
from stream_app.cutting.placeholder import make_placeholder
from stream_app.cutting.recipe import recipe_digest
from stream_app.cutting.terms import Isolation
from stream_app.sources.source_file import SourceFile

_FACTS = TypeAdapter(Cut)


def perform(order: Order, store: ClipStore, isolation: Isolation) -> Result:
    """Do what `order` says, in a process that is isolated so.

    Raises:
        SourceError: the source cannot be had or cut, or the clip did not pass its verification.
        OwnFaultError: our disk is full.
    """
    match order:
        case LocateOrder():
            return Located(locate(order.file, order.need))
        case MeasureOrder():
            return measure(SourceFile(order.path))
        case _:
            return _clip(order, store, isolation)


def _clip(order: ClipOrder, store: ClipStore, isolation: Isolation) -> CutResult:
    """Make the clip of `order`, or recall it when the same recipe was made before."""
    started = time.monotonic_ns()
    recipe = recipe_digest(order)
    recalled = _recall(recipe, store)
    clip, cut, store_ms = (*recalled, 0) if recalled else _make(order, recipe, store)
    return CutResult(
        sha256=clip.sha256,
        path=clip.path,
        bytes=clip.bytes,
        frames=cut.frames,
        black_frames=cut.black_frames,
        first_source_ms=cut.first_source_ms,
        last_source_ms=cut.last_source_ms,
        method=cut.method,
        isolation=isolation,
        duration_ms=_ms_since(started),
        recalled=recalled is not None,
        undrawn=cut.undrawn,
        store_ms=store_ms,
    )


def _recall(recipe: str, store: ClipStore) -> tuple[StoredClip, Cut] | None:
    known = store.recall(recipe)
    if known is None:
        return None
    clip, facts = known
    try:
        return clip, _FACTS.validate_python(facts)
    except ValidationError:
        # Written by a version that noted other facts.
        return None


def _make(order: ClipOrder, recipe: str, store: ClipStore) -> tuple[StoredClip, Cut, int]:
    """The clip, what it shows, and how many ms it took to store it."""
    out = store.temporary()
    try:
        cut = cut_clip(order, out) if isinstance(order, CutOrder) else _stand_in(order, out)
        verify_clip(out, order.profile, cut.frames, payload=cut.payload)
        storing_since = time.monotonic_ns()
        clip = store.put(out)
    finally:
        out.unlink(missing_ok=True)
    store.remember(recipe, clip, asdict(cut))
    return clip, cut, _ms_since(storing_since)


def _ms_since(moment_ns: int) -> int:
    return (time.monotonic_ns() - moment_ns) // 1_000_000


def _stand_in(order: PlaceholderOrder, out: Path) -> Cut:
    lettering = Lettering(order.overlay, order.profile, out)
    return make_placeholder(order.asset, order.profile, order.frames, out, lettering)
