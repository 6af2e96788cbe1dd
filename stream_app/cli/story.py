"""Follow a mix to its end, and say how far it is."""

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from stream_app.cli.request_file import RejectedError
from stream_app.domain.errors import ClipfoldError
from stream_app.domain.mix import Mix
from stream_app.kafka.follow import follow_mix
from stream_app.settings import Settings
from topics.codec import read_event
from topics.events import ClipPlaceholder, MixEnd, MixEvent, MixRejected


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a mix is."""

    total: int
    done: int
    placeholders: int
    elapsed_s: float

    @property
    def remaining_s(self) -> float | None:
        """How long it may still take at the pace so far; `None` before the first clip."""
        return self.elapsed_s / self.done * (self.total - self.done) if self.done else None


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

    `on_progress` is called on every change, and at least a few times a second so that it may look at other
    things; what it raises ends the following. `asked` is where our own request stands in Kafka.

    Raises:
        RejectedError: our own request was rejected.
    """
    mix = Mix()
    started = time.monotonic()
    async with aclosing(follow_mix(settings, mix_id, live=True)) as records:
        async for record in records:
            event = read_event(record.value) if record else None
            if isinstance(event, MixRejected) and event.caused_by == asked:
                raise RejectedError(event.errors)
            if isinstance(event, MixEvent):
                mix.apply(event)
            if mix.end is not None and mix.accepted is not None and mix.accepted.revision >= revision:
                return mix, mix.end
            on_progress(_progress(mix, time.monotonic() - started))
    raise ClipfoldError(f"the log of {mix_id} cannot be followed any more")


def _progress(mix: Mix, elapsed_s: float) -> Progress:
    outcomes = tuple(mix.effective_outcomes)
    return Progress(
        total=mix.accepted.total_clips if mix.accepted else 0,
        done=len(outcomes),
        placeholders=sum(isinstance(outcome, ClipPlaceholder) for outcome in outcomes),
        elapsed_s=elapsed_s,
    )
