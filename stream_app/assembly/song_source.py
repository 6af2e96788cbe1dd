"""Have the song of a mix here while the mix is joined, wherever it comes from."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import stamina

from stream_app.domain.errors import MixError, SourceError
from stream_app.sources.sources import Sources
from topics.reasons import FallbackReason, MixFailure
from topics.requests import Song

TRIES = 4
FIRST_WAIT_S = 0.5
"""Before the second try; each further wait is twice as long, or what the server asks for."""


@asynccontextmanager
async def song_here(sources: Sources, song: Song | None) -> AsyncIterator[Path | None]:
    """The song as a local file that stays while the context is open; None for a mix without one.

    Raises:
        MixError: `song_unavailable` when it cannot be had, `song_invalid` when it is too large.
        OwnFaultError: our disk is full.
    """
    async with AsyncExitStack() as held:
        yield None if song is None else await _obtain(sources, song, held)


async def _obtain(sources: Sources, song: Song, held: AsyncExitStack) -> Path:
    try:
        async for attempt in stamina.retry_context(
            on=_wait_before_retry, attempts=TRIES, timeout=None, wait_initial=FIRST_WAIT_S
        ):
            with attempt:
                return (await held.enter_async_context(sources.obtain_whole(song.uri))).path
    except SourceError as error:
        is_invalid = error.reason is FallbackReason.SOURCE_INVALID
        reason = MixFailure.SONG_INVALID if is_invalid else MixFailure.SONG_UNAVAILABLE
        raise MixError(reason, f"song: {error}") from error
    raise AssertionError("the last attempt returns or raises")


def _wait_before_retry(error: Exception) -> bool | float:
    if not isinstance(error, SourceError) or not error.retryable:
        return False
    return error.retry_after_ms / 1000 or True
