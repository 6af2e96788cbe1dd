"""What intake keeps in mind of every mix of the log: enough to tell what a request means, and no plan."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stream_app.domain.mix import ends
from topics.events import AnyMixEvent, MixAccepted, MixCancelled, MixFailed, MixRendered
from topics.ids import RecordRef


@dataclass(frozen=True, slots=True)
class KnownMix:
    """A mix that was accepted: its newest revision, and where in the log it is told.

    Attributes:
        content_digest: of the newest revision.
        decided: the last request that had an effect, of each partition of `mix-requests` that one came from.
        log_start: no `mix-accepted` of the mix stands before this offset.
        log_end: the offset after the last event of the mix.
    """

    revision: int
    content_digest: str
    ended: bool
    decided: Mapping[int, int]
    log_start: int
    log_end: int

    def has_decided(self, request: RecordRef) -> bool:
        """Whether a request is delivered again: requests of one partition are decided in their order."""
        return request.offset <= self.decided.get(request.partition, -1)


def noted(known: KnownMix | None, event: AnyMixEvent | None, offset: int) -> KnownMix | None:
    """What is known of a mix after its event at `offset`; `None` is an event of a clip, whatever it says."""
    match event:
        case MixAccepted():
            return _after_accepted(known, event, offset)
        case MixCancelled() if known and ends(event, known.revision):
            decided = _with(known.decided, event.caused_by)
            return replace(known, ended=True, decided=decided, log_end=offset + 1)
        case MixRendered() | MixFailed() if known and ends(event, known.revision):
            return replace(known, ended=True, log_end=offset + 1)
        case _:
            return known and replace(known, log_end=offset + 1)


def _after_accepted(known: KnownMix | None, event: MixAccepted, offset: int) -> KnownMix:
    if known and event.revision <= known.revision:
        return replace(known, log_end=offset + 1)
    return KnownMix(
        revision=event.revision,
        content_digest=event.content_digest,
        ended=False,
        decided=_with(known.decided if known else {}, event.caused_by),
        log_start=offset if event.log_start is None else event.log_start,
        log_end=offset + 1,
    )


def _with(decided: Mapping[int, int], caused_by: str) -> Mapping[int, int]:
    try:
        request = RecordRef.parse(caused_by)
    except ValueError:  # nothing that we wrote
        return decided
    return {**decided, request.partition: max(request.offset, decided.get(request.partition, -1))}
