"""Follow a mix to its end, and say how far it is."""

import math
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from stream_app.cli.request_file import RejectedError
from stream_app.clock import now_ms
from stream_app.domain.errors import ClipfoldError
from stream_app.domain.mix import Mix
from stream_app.domain.pace import remaining_of
from stream_app.kafka.follow import follow_mix
from stream_app.settings import Settings
from topics.codec import read_event
from topics.events import ClipPlaceholder, MixEnd, MixEvent, MixRejected

TELL_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a mix is.

    Attributes:
        total: its lines; 0 before it is accepted.
        done: those that have their outcome.
        placeholders: those of them that show a placeholder.
        elapsed_ms: since its newest revision was asked for; None before it is accepted.
        remaining_ms: how long its lines may still take; None when nothing is known.
    """

    total: int
    done: int
    placeholders: int
    elapsed_ms: int | None
    remaining_ms: int | None

    @classmethod
    def of(cls, mix: Mix, now_ms: int) -> Self:
        """As the events so far tell it."""
        outcomes = tuple(mix.effective_outcomes)
        plan = mix.accepted
        return cls(
            total=plan.total_clips if plan else 0,
            done=len(outcomes),
            placeholders=sum(isinstance(outcome, ClipPlaceholder) for outcome in outcomes),
            # The clock of who sent the request may be ahead of ours.
            elapsed_ms=max(now_ms - plan.submitted_at_ms, 0) if plan else None,
            remaining_ms=remaining_of(mix, now_ms),
        )


async def read_mix(settings: Settings, mix_id: str) -> Mix:
    """The mix as the log tells it now; without a plan when it was never accepted."""
    mix = Mix()
    async with aclosing(follow_mix(settings, mix_id, live=False)) as records:
        async for record in records:
            event = read_event(record.value) if record else None
            if isinstance(event, MixEvent):
                mix.apply(event)
    return mix


async def follow_to_end(
    settings: Settings,
    mix_id: str,
    *,
    revision: int,
    on_progress: Callable[[Progress], None],
    asked: str | None = None,
) -> tuple[Mix, MixEnd]:
    """Follow a mix until `revision` of it, or a newer one, has ended.

    `on_progress` is called a few times a second, whether anything has changed or not, so that it may look at
    other things, and once more at the end; what it raises ends the following. `asked` is where our own
    request stands in Kafka.

    Raises:
        RejectedError: our own request was rejected.
    """
    mix = Mix()
    told_at = -math.inf
    async with aclosing(follow_mix(settings, mix_id, live=True)) as records:
        async for record in records:
            event = read_event(record.value) if record else None
            if isinstance(event, MixRejected) and event.caused_by == asked:
                raise RejectedError(event.errors)
            if isinstance(event, MixEvent):
                mix.apply(event)
            if mix.end is not None and mix.accepted is not None and mix.accepted.revision >= revision:
                on_progress(Progress.of(mix, mix.end.at_ms))
                return mix, mix.end
            # A count of 10,000 lines takes milliseconds: it is not made again for each of their events.
            if time.monotonic() - told_at >= TELL_EVERY_S:
                on_progress(Progress.of(mix, now_ms()))
                told_at = time.monotonic()
    raise ClipfoldError(f"the log of {mix_id} cannot be followed any more")
