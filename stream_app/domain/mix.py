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
)
from topics.stats import ClipStats


@dataclass(slots=True)
class Mix:
    """One mix as its events tell it, applied in log order.

    Duplicates change nothing: the first outcome of a line is its effective one, and an attempt is known by
    its task, candidate and number.
    """

    accepted: MixAccepted | None = None
    end: MixEnd | None = None
    outcomes: dict[str, ClipOutcome] = field(default_factory=dict)
    attempts: dict[tuple[str, int, int], AttemptEvent] = field(default_factory=dict)

    def apply(self, event: AnyMixEvent) -> None:
        """Take the next event of the mix into account."""
        match event:
            case MixAccepted() if self._is_news(event):
                self.accepted, self.end = event, None
            case ClipCompleted() | ClipPlaceholder():
                self.outcomes.setdefault(event.clip_task_id, event)
                if isinstance(event, ClipCompleted):
                    self._note_attempt(event)
            case ClipAttemptFailed():
                self._note_attempt(event)
            case MixRendered() if self.accepted and event.revision == self.accepted.revision:
                self.end = self.end or event
            case MixFailed() | MixCancelled() if self.accepted:
                self.end = self.end or event
            case MixRejected() | _:
                pass

    def _is_news(self, event: MixAccepted) -> bool:
        return self.accepted is None or event.revision > self.accepted.revision

    def _note_attempt(self, event: AttemptEvent) -> None:
        self.attempts.setdefault((event.clip_task_id, event.candidate_index, event.attempt), event)

    @property
    def effective_outcomes(self) -> Iterator[ClipOutcome]:
        """The outcomes of the newest plan's lines, in line order, as far as they are known."""
        lines = self.accepted.lines if self.accepted else ()
        return (self.outcomes[line.clip_task_id] for line in lines if line.clip_task_id in self.outcomes)

    @property
    def is_ready(self) -> bool:
        """Whether every line has its outcome and the mix waits to be joined."""
        return (
            self.accepted is not None
            and self.end is None
            and all(line.clip_task_id in self.outcomes for line in self.accepted.lines)
        )

    def stats(self) -> ClipStats:
        """The figures of the newest plan."""
        planned = {line.clip_task_id for line in self.accepted.lines} if self.accepted else set()
        attempts = (attempt for attempt in self.attempts.values() if attempt.clip_task_id in planned)
        return roll_up(attempts, self.effective_outcomes)
