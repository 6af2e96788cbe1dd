"""Lets a changeable number of callers in at once, the others in order of arrival."""

import asyncio
from collections import deque


class Turns:
    """Like a semaphore whose size may change while callers wait; for one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._taken < self._size and not self._waiting:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def resize(self, size: int) -> None:
        """Let in as many as `size`; those already in stay until they leave."""
        self._size = size
        self._let_in()

    @property
    def size(self) -> int:
        """How many may be in at once."""
        return self._size

    def _leave(self) -> None:
        self._taken -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._taken < self._size:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
