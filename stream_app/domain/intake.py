"""Decide on a request: accept it with a plan and tasks, reject it with every error, or leave all as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stream_app.domain.plan import content_digest, plan_mix
from stream_app.domain.validate import validate_request
from topics.events import FieldError, MixAccepted, MixCancelled, MixEvent, MixRejected
from topics.ids import RecordRef, derived_id, is_mix_id, minted_mix_id, trace_id_of
from topics.requests import MixCancel, MixRequest
from topics.tasks import ClipTask

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
class KnownMix:
    """What the log says of a mix that was accepted before."""

    content_digest: str
    caused_by: str
    ended: bool


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


def decide(asked: Asked, known: KnownMix | None, *, config_version: int, now_ms: int) -> Decision:
    """What becomes of a request, given what is known of its mix."""
    command = validate_request(asked.body)
    match command:
        case tuple():
            return _reject(asked, command, now_ms)
        case MixRequest():
            return _accept(asked, command, known, config_version=config_version, now_ms=now_ms)
        case MixCancel():
            return _cancel(asked, known, now_ms)
        case _:
            unbuilt = FieldError(
                path="/type", code="not_supported", message="revising a mix is not built yet"
            )
            return _reject(asked, (unbuilt,), now_ms)


def _accept(
    asked: Asked, request: MixRequest, known: KnownMix | None, *, config_version: int, now_ms: int
) -> Decision:
    digest = content_digest(request)
    if known and known.content_digest != digest:
        exists = FieldError(
            path="/mix_id",
            code="mix_exists",
            message=f"{asked.mix_id} was accepted with other content; choose another id or send a mix-revise",
        )
        return _reject(asked, (exists,), now_ms)
    event = _accepted(asked, request, digest, config_version=config_version, now_ms=now_ms)
    tasks = tuple(_first_task(event, index) for index in range(event.total_clips))
    if known is None:
        return Decision("accepted", (event,), tasks)
    if known.caused_by == str(asked.ref) and not known.ended:
        # Delivered again: it was accepted, but some of its tasks may not have been queued.
        return Decision("unchanged", (), tasks)
    return Decision("unchanged")


def _accepted(
    asked: Asked, request: MixRequest, digest: str, *, config_version: int, now_ms: int
) -> MixAccepted:
    plan = plan_mix(request, asked.mix_id)
    return MixAccepted(
        **_common("mix-accepted", asked, now_ms),
        revision=1,
        submitted_at_ms=asked.submitted_at_ms,
        total_clips=len(plan.lines),
        total_frames=plan.total_frames,
        profile=request.profile,
        config_version=config_version,
        priority=request.priority,
        song=request.song,
        gaps=request.gaps,
        subtitles=request.subtitles,
        content_digest=digest,
        lines=plan.lines,
    )


def _first_task(accepted: MixAccepted, index: int) -> ClipTask:
    line = accepted.lines[index]
    return ClipTask(
        event_id=derived_id("clip-task", line.clip_task_id, 0, 1),
        mix_id=accepted.mix_id,
        trace_id=accepted.trace_id,
        caused_by=accepted.caused_by,
        at_ms=accepted.at_ms,
        clip_task_id=line.clip_task_id,
        clip_index=line.clip_index,
        line_id=line.line_id,
        priority=accepted.priority,
        profile=accepted.profile,
        frames=line.frames,
        extend_frames=line.extend_frames,
        candidates=line.candidates,
    )


def _cancel(asked: Asked, known: KnownMix | None, now_ms: int) -> Decision:
    if known is None:
        unknown = FieldError(path="/mix_id", code="mix_unknown", message=f"{asked.mix_id} was never accepted")
        return _reject(asked, (unknown,), now_ms)
    if known.ended:
        return Decision("unchanged")
    event = MixCancelled(
        **_common("mix-cancelled", asked, now_ms), reason="requested", message=f"cancelled by {asked.ref}"
    )
    return Decision("cancelled", (event,))


def _reject(asked: Asked, errors: tuple[FieldError, ...], now_ms: int) -> Decision:
    event = MixRejected(
        **_common("mix-rejected", asked, now_ms), submitted_at_ms=asked.submitted_at_ms, errors=errors
    )
    return Decision("rejected", (event,))


def _common(event_type: str, asked: Asked, now_ms: int) -> dict[str, Any]:
    return {
        "event_id": derived_id(event_type, asked.ref),
        "mix_id": asked.mix_id,
        "trace_id": trace_id_of(asked.traceparent, asked.ref),
        "caused_by": str(asked.ref),
        "at_ms": now_ms,
    }
