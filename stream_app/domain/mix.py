"""Fold the events of one mix: what its plan is, what its lines ended in, and whether it has ended."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from stream_app.domain.roll_up import roll_up
from topics.events import (
    AnyMixEvent,
    AttemptEvent,
    ClipAttemptFailed,
    ClipCompleted,
    ClipOutcome,
    ClipPlaceholder,
    MixAccepted,
    MixCancelled,
    MixEnd,
    MixFailed,
    MixRejected,
    MixRendered,
    PlannedLine,
)
from topics.stats import ClipStats


@dataclass(slots=True)
class Mix:
    """One mix as its events tell it, applied in log order.

    Duplicates change nothing: the first outcome of a line is its effective one, an attempt is known by its
    task, candidate and number, and an end counts only for the revision that it is about.
    """

    accepted: MixAccepted | None = None
    end: MixEnd | None = None
    outcomes: dict[str, ClipOutcome] = field(default_factory=dict)
    attempts: dict[tuple[str, int, int], AttemptEvent] = field(default_factory=dict)
    _planned: dict[str, PlannedLine] = field(default_factory=dict, init=False, repr=False)
    _missing: set[str] = field(default_factory=set, init=False, repr=False)

    def apply(self, event: AnyMixEvent) -> None:
        """Take the next event of the mix into account."""
        match event:
            case MixAccepted() if self._is_news(event):
                self.accepted, self.end = event, None
                self._planned = {line.clip_task_id: line for line in event.lines}
                self._missing = self._planned.keys() - self.outcomes.keys()
            case ClipCompleted() | ClipPlaceholder():
                self.outcomes.setdefault(event.clip_task_id, event)
                self._missing.discard(event.clip_task_id)
                if isinstance(event, ClipCompleted):
                    self._note_attempt(event)
            case ClipAttemptFailed():
                self._note_attempt(event)
            case MixRendered() | MixFailed() | MixCancelled():
                if self.accepted and ends(event, self.accepted.revision):
                    self.end = self.end or event
            case MixRejected() | _:
                pass

    def _is_news(self, event: MixAccepted) -> bool:
        return self.accepted is None or event.revision > self.accepted.revision

    def _note_attempt(self, event: AttemptEvent) -> None:
        self.attempts.setdefault((event.clip_task_id, event.candidate_index, event.attempt), event)

    @property
    def effective_lines(self) -> Iterator[tuple[PlannedLine, ClipOutcome]]:
        """The newest plan's lines with their outcome, in order, as far as that is known."""
        return ((line, self.outcomes[task]) for task, line in self._planned.items() if task in self.outcomes)

    @property
    def effective_outcomes(self) -> Iterator[ClipOutcome]:
        """The outcomes of the newest plan's lines, in line order, as far as they are known."""
        return (outcome for _, outcome in self.effective_lines)

    @property
    def is_ready(self) -> bool:
        """Whether every line has its outcome and the mix waits to be joined."""
        return self.accepted is not None and self.end is None and not self._missing

    def line_of(self, clip_task_id: str) -> PlannedLine | None:
        """The line of the newest plan that a clip is for; `None` when a revision has dropped it."""
        return self._planned.get(clip_task_id)

    def stats(self) -> ClipStats:
        """The figures of the newest plan."""
        attempts = (attempt for attempt in self.attempts.values() if attempt.clip_task_id in self._planned)
        return roll_up(attempts, self.effective_outcomes)


def ends(end: MixEnd, revision: int) -> bool:
    """Whether `end`, told after `revision` had begun, is its own and not a late one of an older revision."""
    return end.revision in (None, revision)
