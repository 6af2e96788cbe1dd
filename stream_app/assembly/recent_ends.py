"""Remembers which mixes ended a while ago, so that a plan which comes once more is known for what it is."""

from topics.events import MixAccepted

REMEMBERED = 10_000
"""A plan comes again when its sender stood still for some seconds; far fewer mixes end in that time."""


class RecentEnds:
    """The newest revision that was seen to end, of the mixes that ended last."""

    def __init__(self) -> None:
        self._ended: dict[str, int] = {}

    def note(self, accepted: MixAccepted) -> None:
        """The revision has ended."""
        self._ended.pop(accepted.mix_id, None)
        self._ended[accepted.mix_id] = accepted.revision
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def has(self, accepted: MixAccepted) -> bool:
        """Whether this revision, or a newer one of the mix, has ended."""
        return accepted.revision <= self._ended.get(accepted.mix_id, 0)
