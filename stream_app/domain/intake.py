"""Decide on a request: accept it with a plan and tasks, reject it with every error, or leave all as it is."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stream_app.domain.known import KnownMix
from stream_app.domain.mix import Mix
from stream_app.domain.plan import content_digest, overlay_text, plan_mix
from stream_app.domain.revise import content_of, revised
from stream_app.domain.validate import validate_request
from topics.events import FieldError, MixAccepted, MixCancelled, MixEvent, MixRejected, PlannedLine
from topics.ids import RecordRef, derived_id, is_mix_id, minted_mix_id, trace_id_of
from topics.requests import MixCancel, MixRequest, MixRevise
from topics.tasks import ClipTask

REMOVAL_MARGIN_MS = 3_600_000
"""A removal relies for half an hour on what the log said when it began; and clocks differ."""

Result = Literal["accepted", "rejected", "cancelled", "unchanged"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came in: its JSON object, and where, when and in which trace it was sent."""

    body: Mapping[str, Any]
    ref: RecordRef
    submitted_at_ms: int
    mix_id: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When a request is decided.

    Attributes:
        config_version: of the config in force.
        log_end: where the log of its mix's partition ends.
        now_ms: the time.
        clips_kept_ms: for how long clips are kept after the end of the last mix that they are in; `None`:
            for ever.
    """

    config_version: int
    log_end: int
    now_ms: int
    clips_kept_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to append to the log and to queue, in this order, before the request counts as done."""

    result: Result
    events: tuple[MixEvent, ...] = ()
    tasks: tuple[ClipTask, ...] = ()


def mix_id_of(body: Mapping[str, Any], key: bytes | None, ref: RecordRef) -> str:
    """The mix a request is about: its own word counts, then the record's key, then where it stands."""
    named = body.get("mix_id")
    if isinstance(named, str) and is_mix_id(named):
        return named
    typed = (key or b"").decode(errors="replace")
    return typed if is_mix_id(typed) else minted_mix_id(ref)


def needs_story(asked: Asked, known: KnownMix | None) -> bool:
    """Whether `decide` must be told the mix's whole story, since its plan and its outcomes matter."""
    if known is None:
        return False
    if known.has_decided(asked.ref):
        return not known.ended
    return asked.body.get("type") == "mix-revise"


def decide(asked: Asked, known: KnownMix | None, story: Mix | None, moment: Moment) -> Decision:
    """What becomes of a request, given what is known of its mix.

    `known` is `None` when it was never accepted; `story` is the mix folded from the log if `needs_story`.
    """
    if known and known.has_decided(asked.ref):
        # Delivered again: what it led to is in the log, but some of its tasks may not have been queued.
        return Decision("unchanged", (), _tasks_missing(story))
    command = validate_request(asked.body)
    if isinstance(command, tuple):
        return _reject(asked, command, moment)
    if isinstance(command, MixRequest):
        return _repeat(asked, command, known, moment) if known else _begin(asked, command, moment)
    if known is None:
        unknown = FieldError(path="/mix_id", code="mix_unknown", message=f"{asked.mix_id} was never accepted")
        return _reject(asked, (unknown,), moment)
    if isinstance(command, MixCancel):
        return _cancel(asked, known, moment)
    return _revise(asked, command, known, story or Mix(), moment)


def _begin(asked: Asked, request: MixRequest, moment: Moment) -> Decision:
    wanted_ms = request.deadline_ms
    event = _accepted(
        asked,
        request,
        moment,
        revision=1,
        deadline_at_ms=None if wanted_ms is None else asked.submitted_at_ms + wanted_ms,
        log_start=moment.log_end,
    )
    return Decision("accepted", (event,), _tasks(event, Mix()))


def _repeat(asked: Asked, request: MixRequest, known: KnownMix, moment: Moment) -> Decision:
    """A request for a mix that is there: its newest content counts, a revision's when it has any."""
    if known.content_digest == content_digest(request):
        return Decision("unchanged")
    exists = FieldError(
        path="/mix_id",
        code="mix_exists",
        message=f"{asked.mix_id} was accepted with other content; choose another id or send a mix-revise",
    )
    return _reject(asked, (exists,), moment)


def _revise(asked: Asked, change: MixRevise, known: KnownMix, story: Mix, moment: Moment) -> Decision:
    base = story.accepted
    if base is None:
        raise ValueError(f"{asked.mix_id} is known, and its story has no plan")
    before = content_of(base)
    after = revised(before, change)
    if isinstance(after, tuple):
        return _reject(asked, after, moment)
    if after == before and not change.again:
        return Decision("unchanged")
    revision = base.revision + 1
    event = _accepted(
        asked,
        after,
        moment,
        revision=revision,
        asked_anew=revision if change.again or _may_lack_clips(story, asked, moment) else base.asked_anew,
        deadline_at_ms=_deadline_left(base, asked),
        log_start=known.log_start,
    )
    # An ended mix has nothing in the queue any more, and what waits there has the priority of its time.
    is_queued = story.end is None and base.priority == event.priority
    queued = {line.clip_task_id for line in base.lines} if is_queued else ()
    return Decision("accepted", (event,), _tasks(event, story, queued=queued))


def _may_lack_clips(story: Mix, asked: Asked, moment: Moment) -> bool:
    """Whether the mix ended so long ago that its clips may have been removed, or will be at any moment.

    Told by when the request was sent: two intakes that decide on it come to the same plan.
    """
    if story.end is None or moment.clips_kept_ms is None:
        return False
    return asked.submitted_at_ms - story.end.at_ms >= moment.clips_kept_ms - REMOVAL_MARGIN_MS


def _deadline_left(base: MixAccepted, asked: Asked) -> int | None:
    """The mix's deadline, unless it was past when the revision was sent: that would ask for placeholders."""
    at_ms = base.deadline_at_ms
    return at_ms if at_ms is not None and at_ms > asked.submitted_at_ms else None


def _accepted(
    asked: Asked,
    request: MixRequest,
    moment: Moment,
    *,
    revision: int,
    deadline_at_ms: int | None,
    log_start: int,
    asked_anew: int = 1,
) -> MixAccepted:
    plan = plan_mix(request, asked.mix_id, asked_anew)
    return MixAccepted(
        **_common("mix-accepted", asked, moment),
        revision=revision,
        submitted_at_ms=asked.submitted_at_ms,
        total_clips=len(plan.lines),
        total_frames=plan.total_frames,
        profile=request.profile,
        config_version=moment.config_version,
        priority=request.priority,
        deadline_at_ms=deadline_at_ms,
        log_start=log_start,
        asked_anew=asked_anew,
        song=request.song,
        gaps=request.gaps,
        subtitles=request.subtitles,
        content_digest=content_digest(request),
        lines=plan.lines,
    )


def _tasks_missing(story: Mix | None) -> tuple[ClipTask, ...]:
    """The tasks of a mix in work; none without a story, which an ended mix needs not."""
    return _tasks(story.accepted, story) if story and story.accepted else ()


def _tasks(plan: MixAccepted, story: Mix, *, queued: Container[str] = ()) -> tuple[ClipTask, ...]:
    """A task for each line that neither has its outcome nor is `queued`."""
    return tuple(
        _first_task(plan, line)
        for line in plan.lines
        if line.clip_task_id not in story.outcomes and line.clip_task_id not in queued
    )


def _first_task(plan: MixAccepted, line: PlannedLine) -> ClipTask:
    return ClipTask(
        event_id=derived_id("clip-task", line.clip_task_id, 0, 1),
        mix_id=plan.mix_id,
        trace_id=plan.trace_id,
        caused_by=plan.caused_by,
        at_ms=plan.at_ms,
        clip_task_id=line.clip_task_id,
        clip_index=line.clip_index,
        line_id=line.line_id,
        priority=plan.priority,
        revision=plan.revision,
        deadline_at_ms=plan.deadline_at_ms,
        profile=plan.profile,
        frames=line.frames,
        extend_frames=line.extend_frames,
        overlay_text=overlay_text(plan.subtitles, line.text),
        candidates=line.candidates,
    )


def _cancel(asked: Asked, known: KnownMix, moment: Moment) -> Decision:
    if known.ended:
        return Decision("unchanged")
    event = MixCancelled(
        **_common("mix-cancelled", asked, moment),
        revision=known.revision,
        reason="requested",
        message=f"cancelled by {asked.ref}",
    )
    return Decision("cancelled", (event,))


def _reject(asked: Asked, errors: tuple[FieldError, ...], moment: Moment) -> Decision:
    event = MixRejected(
        **_common("mix-rejected", asked, moment), submitted_at_ms=asked.submitted_at_ms, errors=errors
    )
    return Decision("rejected", (event,))


def _common(event_type: str, asked: Asked, moment: Moment) -> dict[str, Any]:
    return {
        "event_id": derived_id(event_type, asked.ref),
        "mix_id": asked.mix_id,
        "trace_id": trace_id_of(asked.traceparent, asked.ref),
        "caused_by": str(asked.ref),
        "at_ms": moment.now_ms,
    }
