"""Which mixes are in work, as the event log tells: what a worker is still to cut, and what it may drop."""

from dataclasses import dataclass
from typing import Protocol

from stream_app.domain.mix import ends
from topics.events import AnyMixEvent, MixAccepted, MixCancelled, MixFailed, MixRendered


class Asked(Protocol):
    """A clip that was asked for: a task, or what is kept of one."""

    @property
    def mix_id(self) -> str:
        """The mix."""

    @property
    def clip_task_id(self) -> str:
        """The clip, as in the plan."""

    @property
    def revision(self) -> int:
        """Of the plan that asked for it."""


@dataclass(frozen=True, slots=True)
class _Plan:
    revision: int
    clip_task_ids: frozenset[str]


class UnfinishedMixes:
    """The newest plan of every mix that has not ended; of a mix that has, nothing is kept."""

    def __init__(self) -> None:
        self._plans: dict[str, _Plan] = {}

    def __len__(self) -> int:
        """How many mixes are in work."""
        return len(self._plans)

    def apply(self, event: AnyMixEvent) -> bool:
        """Take the next event of the log into account; whether tasks may be unwanted now that were wanted."""
        plan = self._plans.get(event.mix_id)
        match event:
            case MixAccepted() if plan is None or event.revision > plan.revision:
                tasks = frozenset(line.clip_task_id for line in event.lines)
                self._plans[event.mix_id] = _Plan(event.revision, tasks)
                return plan is not None
            case MixRendered() | MixFailed() | MixCancelled() if plan and ends(event, plan.revision):
                del self._plans[event.mix_id]
                return True
            case _:
                return False

    def wants(self, clip: Asked) -> bool | None:
        """Whether the newest plan of the mix has the clip; `None`: no plan of that revision is known.

        A plan is appended to the log before its tasks are queued. So `None` means that the mix has ended,
        once the log has been read up to where it ended while the task was there already.
        """
        plan = self._plans.get(clip.mix_id)
        if plan is None or plan.revision < clip.revision:
            return None
        return clip.clip_task_id in plan.clip_task_ids
