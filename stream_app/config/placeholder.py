"""Whether a video can stand in for what cannot be cut: seen, allowed, and decoded."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stream_app.cutting.orders import PlaceholderOrder
from stream_app.cutting.placeholder import METHOD_ASSET
from stream_app.cutting.placeholder_asset import locate_asset
from stream_app.cutting.pool import CutterPool
from stream_app.domain.errors import SourceError
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

CHECKED_FRAMES = 90
"""Three seconds of it are decoded: all of an ordinary one, and quickly done with a long one."""

CHECK_TIMEOUT_MS = 10_000
_SMALL = RenderProfile(width=64, height=36, fps="30", quality="draft")


class PlaceholderCheck:
    """Makes a clip of a placeholder asset, in a sandboxed process as every other clip."""

    def __init__(self, media_roots: Sequence[Path], pool: CutterPool) -> None:
        self._roots = media_roots
        self._pool = pool

    async def __call__(self, path: str) -> None:
        """Return when the file at `path` was decoded.

        Raises:
            SourceError: it is not there, lies outside the media roots, or does not decode as video.
            OwnFaultError: it could not be tried.
        """
        asset = await asyncio.to_thread(locate_asset, path, self._roots)
        order = PlaceholderOrder(asset, CHECKED_FRAMES, _SMALL, CHECK_TIMEOUT_MS)
        clip = await self._pool.run_at_once(order)
        if clip.method != METHOD_ASSET:
            raise SourceError(
                FallbackReason.SOURCE_INVALID, f"{path!r} does not decode as video", stage="config"
            )
