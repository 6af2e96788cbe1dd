"""Turns at something that one task at a time does for all who want it done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream_app.domain.errors import SourceError


class Turn:
    """The turns of the tasks of one process at one thing."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failures = 0
        self._error: SourceError | None = None

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it.

        Raises:
            SourceError: of a task before, which failed while this one was waiting: twenty who wait for a
                server that does not answer must not try it one after the other.
        """
        failures = self._failures
        async with self._lock:
            if self._error is not None and self._failures != failures:
                # Another exception: one that is raised in two mixes mixes up their tracebacks.
                raise self._error.in_words(str(self._error))
            try:
                yield
            except SourceError as error:
                self._failures, self._error = self._failures + 1, error
                raise
