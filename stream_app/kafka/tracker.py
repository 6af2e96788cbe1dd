"""Which offset of a partition may be committed while its records end in any order."""

from collections import deque


class OffsetTracker:
    """Tracks the *delivered* offsets of one partition for the time of one assignment.

    A group's committed offset says "everything below is done". So it may only pass the contiguous run of
    finished records at the head, in the order of delivery: offsets have gaps, and `offset + 1` proves nothing
    about a neighbour.
    """

    def __init__(self) -> None:
        self._unfinished: deque[int] = deque()
        self._finished: set[int] = set()
        self._last_delivered = -1
        self._committable: int | None = None

    def deliver(self, offset: int) -> bool:
        """Note that a record was handed out; `False` when it was before and must not be again."""
        if offset <= self._last_delivered:
            return False
        self._last_delivered = offset
        self._unfinished.append(offset)
        return True

    def finish(self, offset: int) -> None:
        """Note that all that a record asks for has been done and acknowledged."""
        self._finished.add(offset)
        while self._unfinished and self._unfinished[0] in self._finished:
            head = self._unfinished.popleft()
            self._finished.discard(head)
            self._committable = head + 1

    @property
    def in_flight(self) -> int:
        """Records handed out and not yet below the committable offset."""
        return len(self._unfinished)

    @property
    def head(self) -> int | None:
        """The first record that was handed out and is not finished; `None` when all are."""
        return self._unfinished[0] if self._unfinished else None

    @property
    def next_offset(self) -> int:
        """The first offset that was not handed out; 0 before any was."""
        return self._last_delivered + 1

    def take_committable(self) -> int | None:
        """The offset to commit now; `None` when there is nothing new since the last call."""
        offset, self._committable = self._committable, None
        return offset
