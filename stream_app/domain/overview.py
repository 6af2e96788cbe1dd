"""What goes on in a running system, as its event log tells it: mixes in work, and what workers do."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from stream_app.domain.mix import Mix
from stream_app.domain.pace import remaining_of
from topics.events import (
    AnyMixEvent,
    AttemptEvent,
    ClipAttemptFailed,
    ClipPlaceholder,
    MixAccepted,
    MixEnd,
    MixRejected,
)

MINUTE_MS = 60_000
SLOT_SEEN_MS = 10_000
"""A slot counts as in use for so long after an attempt in it has ended: the log does not tell beginnings."""

ENDS_KEPT = 5


@dataclass(frozen=True, slots=True)
class MixInWork:
    """One mix and how far it is; see `stream_app.cli.story.Progress` for what the figures mean."""

    mix_id: str
    revision: int
    state: str
    lines: int
    done: int
    placeholders: int
    elapsed_ms: int
    remaining_ms: int | None


@dataclass(frozen=True, slots=True)
class MixEnded:
    """One mix that ended a while ago."""

    mix_id: str
    status: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """What a worker did in the last minute; its slots over the last seconds."""

    worker: str
    slots_used: int
    attempts: int
    failures: int
    last_event_at_ms: int


@dataclass(slots=True)
class _Worker:
    last_event_at_ms: int = 0
    attempts: deque[tuple[int, int, bool]] = field(default_factory=deque)
    """When each ended, its slot, and whether it failed; those of the last minute."""

    def forget_before(self, moment_ms: int) -> None:
        while self.attempts and self.attempts[0][0] < moment_ms:
            self.attempts.popleft()


class Overview:
    """Folds the events of all mixes; of a mix that has ended only the end is kept."""

    def __init__(self) -> None:
        self._mixes: dict[str, Mix] = {}
        self._ended: dict[str, MixEnded] = {}
        self._workers: dict[str, _Worker] = {}

    def lacks_story_of(self, event: AnyMixEvent) -> bool:
        """Whether an event revises a mix whose earlier events were not seen here, or are forgotten."""
        return isinstance(event, MixAccepted) and event.revision > 1 and event.mix_id not in self._mixes

    def put(self, mix_id: str, mix: Mix) -> None:
        """Take over the earlier events of a mix, folded."""
        self._mixes[mix_id] = mix

    def apply(self, event: AnyMixEvent) -> None:
        """Take the next event into account."""
        self._note_worker(event)
        mix = self._mixes.get(event.mix_id)
        if mix is None:
            if not isinstance(event, MixAccepted):
                # Its mix was accepted before what is read here, so it has ended; or it never was.
                if isinstance(event, MixRejected | MixEnd):
                    self._note_end(event)
                return
            mix = self._mixes[event.mix_id] = Mix()
        mix.apply(event)
        if mix.end is not None:
            self._note_end(mix.end)
            del self._mixes[event.mix_id]

    def mixes(self, now_ms: int) -> list[MixInWork]:
        """Mixes in work, the one that was asked for first first."""
        told = [_in_work(mix_id, mix, now_ms) for mix_id, mix in self._mixes.items()]
        return sorted((mix for mix in told if mix), key=lambda mix: -mix.elapsed_ms)

    def ended(self) -> list[MixEnded]:
        """What ended last, the newest first."""
        return sorted(self._ended.values(), key=lambda end: end.at_ms, reverse=True)

    def workers(self, now_ms: int) -> Iterator[WorkerSeen]:
        """Workers of whom anything was heard in the last minute."""
        for name, worker in tuple(self._workers.items()):
            worker.forget_before(now_ms - MINUTE_MS)
            if worker.last_event_at_ms < now_ms - MINUTE_MS:
                del self._workers[name]
                continue
            lately = {slot for at_ms, slot, _ in worker.attempts if at_ms >= now_ms - SLOT_SEEN_MS}
            failures = sum(failed for _, _, failed in worker.attempts)
            yield WorkerSeen(name, len(lately), len(worker.attempts), failures, worker.last_event_at_ms)

    def _note_end(self, end: MixRejected | MixEnd) -> None:
        self._ended.pop(end.mix_id, None)
        self._ended[end.mix_id] = MixEnded(end.mix_id, end.type.removeprefix("mix-"), end.at_ms)
        if len(self._ended) > ENDS_KEPT:
            # Not the first that was read: partitions are read one after the other.
            del self._ended[min(self._ended, key=lambda mix_id: self._ended[mix_id].at_ms)]

    def _note_worker(self, event: AnyMixEvent) -> None:
        if not isinstance(event, AttemptEvent | ClipPlaceholder):
            return
        worker = self._workers.setdefault(event.worker, _Worker())
        worker.last_event_at_ms = max(worker.last_event_at_ms, event.at_ms)
        if isinstance(event, AttemptEvent):
            failed = isinstance(event, ClipAttemptFailed)
            worker.attempts.append((event.finished_at_ms, event.parallel_slot, failed))
            worker.forget_before(worker.last_event_at_ms - MINUTE_MS)


def _in_work(mix_id: str, mix: Mix, now_ms: int) -> MixInWork | None:
    plan = mix.accepted
    if plan is None:
        return None
    outcomes = tuple(mix.effective_outcomes)
    state = "joining" if mix.is_ready else "cutting" if outcomes else "waiting"
    return MixInWork(
        mix_id=mix_id,
        revision=plan.revision,
        state=state,
        lines=plan.total_clips,
        done=len(outcomes),
        placeholders=sum(isinstance(outcome, ClipPlaceholder) for outcome in outcomes),
        elapsed_ms=max(now_ms - plan.submitted_at_ms, 0),
        remaining_ms=remaining_of(mix, now_ms),
    )
