"""Ask for a mix, its end, a change of it: answered when Kafka has acknowledged it, and not before."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from stream_app.api.access import actor_of
from stream_app.api.bodies import read_body
from stream_app.api.documented import CHANGING, MixIdInPath, Responses, problems
from stream_app.api.openapi import CANCEL_BODY, REVISE_BODY, SUBMIT_BODY
from stream_app.api.parts import Parts, PartsOf, kafka_in_time
from stream_app.api.problems import Problem, invalid
from stream_app.api.request_log import trace_of
from stream_app.api.standing import Standing, mix_href, no_such_mix, standing_of
from stream_app.api.views import Asked
from stream_app.clock import now_ms
from stream_app.domain.plan import content_digest
from stream_app.domain.revise import content_of, revised
from stream_app.domain.submission import as_submission
from stream_app.domain.validate import Command, validate_request
from stream_app.kafka.follow import read_record
from stream_app.kafka.submit import send_request
from stream_app.telemetry import tracing
from stream_app.telemetry.tracing import Span
from topics.codec import encode
from topics.envelope import Headers, Opened, open_envelope
from topics.events import FieldError, MixAccepted, MixCancelled
from topics.ids import RecordRef, parent_span_in, span_id_of, traceparent
from topics.requests import MixCancel, MixRequest, MixRevise

router = APIRouter(prefix="/api/v1/mixes", tags=["mixes"])

_LOCATION = {"Location": {"description": "where the mix is told of", "schema": {"type": "string"}}}
_ACCEPTED: Responses = {202: {"headers": _LOCATION}}


@router.post(
    "",
    operation_id="submitMix",
    status_code=202,
    summary="Ask for a mix",
    responses=problems(*CHANGING, 409) | _ACCEPTED,
    openapi_extra=SUBMIT_BODY,
)
async def submit_mix(parts: PartsOf, request: Request, response: Response) -> Asked:
    """Send a mix request; the answer comes when Kafka has acknowledged it.

    Sending it again is safe: the same `mix_id` with the same content gets the same answer, and nothing more
    is sent. With other content it is a 409. Without a `mix_id` the request is named by its content, so that
    the same content is the same mix. Should two programs ask for different content under one id at the same
    moment, through different servers, the first one in Kafka counts, and the mix's events tell of the other
    one as `mix-rejected`.

    After a 503 it is not known whether Kafka has the request: send the same again.
    """
    body = await read_body(request)
    command = await asyncio.to_thread(_checked, body, MixRequest)
    sent = await asyncio.to_thread(as_submission, command, body)
    async with parts.turns.setdefault(sent.mix_id, asyncio.Lock()):
        standing = await standing_of(parts, sent.mix_id)
        earlier = await _asked_before(parts, standing)
        if earlier is None:
            record = await _send(parts, request, sent.mix_id, sent.value)
        elif earlier[0] == sent.digest:
            record = earlier[1]
        else:
            message = f"{sent.mix_id} was asked for with other content ({earlier[1]})"
            what_to_do = "choose another id, or revise the mix"
            error = FieldError(path="/mix_id", code="mix_exists", message=f"{message}: {what_to_do}")
            raise Problem(409, error.message, errors=[error])
    return _answer(response, sent.mix_id, record)


@router.post(
    "/{mix_id}/cancel",
    operation_id="cancelMix",
    status_code=202,
    summary="Stop a mix",
    responses=problems(*CHANGING, 404, 409) | _ACCEPTED,
    openapi_extra=CANCEL_BODY,
)
async def cancel_mix(parts: PartsOf, mix_id: MixIdInPath, request: Request, response: Response) -> Asked:
    """Ask to stop a mix; the answer comes when Kafka has acknowledged it.

    A mix that is cancelled already is left as it is (`record` is null). One that has ended otherwise is a
    409.
    """
    if unknown := await read_body(request, optional=True):
        raise invalid(
            [FieldError(path=f"/{name}", code="unknown_field", message="not expected") for name in unknown]
        )
    standing = await _known(parts, mix_id)
    # What is still to be decided on may bring it back to work: then intake knows whether this ends it.
    end = None if standing.undecided else standing.mix.end
    if isinstance(end, MixCancelled):
        return _answer(response, mix_id, None)
    if end is not None:
        raise Problem(409, f"{mix_id} has ended as {end.type}: there is nothing to stop")
    value = encode(MixCancel(type="mix-cancel", mix_id=mix_id))
    return _answer(response, mix_id, await _send(parts, request, mix_id, value))


@router.post(
    "/{mix_id}/revise",
    operation_id="reviseMix",
    status_code=202,
    summary="Change a mix",
    responses=problems(*CHANGING, 404) | _ACCEPTED,
    openapi_extra=REVISE_BODY,
)
async def revise_mix(parts: PartsOf, mix_id: MixIdInPath, request: Request, response: Response) -> Asked:
    """Change or add lines of a mix, by `line_id`; the answer comes when Kafka has acknowledged it.

    What the change does not name stays as it is, and clips of lines left alone are used again. A change that
    changes nothing is not sent (`record` is null). A mix that is still queued can be changed too; whether the
    change fits is then told by the mix's events.
    """
    body = await read_body(request)
    command = {"type": "mix-revise", "mix_id": mix_id, **body}
    change = await asyncio.to_thread(_checked, command, MixRevise)
    if change.mix_id != mix_id:
        message = f"the address says {mix_id}: leave it out here"
        raise invalid([FieldError(path="/mix_id", code="bad_value", message=message)])
    accepted = (await _known(parts, mix_id)).mix.accepted
    if accepted is None:
        return _answer(response, mix_id, await _send(parts, request, mix_id, encode(change)))
    if not await asyncio.to_thread(_is_news, accepted, change):
        return _answer(response, mix_id, None, accepted.revision)
    record = await _send(parts, request, mix_id, encode(change))
    return _answer(response, mix_id, record, accepted.revision + 1)


def _checked(body: Mapping[str, Any], kind: type[Command]) -> Any:
    """The command in `body`, which is to be of that kind; a problem with every error otherwise."""
    command = validate_request(body)
    if isinstance(command, tuple):
        raise invalid(command)
    if not isinstance(command, kind):
        message = f"{command.type} is asked for elsewhere: /docs says where"
        raise invalid([FieldError(path="/type", code="not_allowed", message=message)])
    return command


def _is_news(accepted: MixAccepted, change: MixRevise) -> bool:
    before = content_of(accepted)
    after = revised(before, change)
    if isinstance(after, tuple):
        raise invalid(after)
    return change.again or after != before


async def _known(parts: Parts, mix_id: str) -> Standing:
    standing = await standing_of(parts, mix_id)
    if not standing.is_known:
        raise no_such_mix(mix_id)
    return standing


async def _asked_before(parts: Parts, standing: Standing) -> tuple[str, str] | None:
    """Content and place of the request that made the mix what it is, or will once a worker decides on it."""
    accepted = standing.mix.accepted
    if accepted is not None:
        return accepted.content_digest, accepted.caused_by
    for ref in standing.requests:
        if (digest := await _content_at(parts, ref)) is not None:
            return digest, str(ref)
    return None


async def _content_at(parts: Parts, ref: RecordRef) -> str | None:
    """The content that a record asks for; `None` when it is no valid mix request."""
    async with kafka_in_time():
        record = await read_record(parts.settings, ref)
    opened = open_envelope(record.value, record.headers) if record else None
    if not isinstance(opened, Opened):
        return None
    command = await asyncio.to_thread(validate_request, opened.data)
    return content_digest(command) if isinstance(command, MixRequest) else None


async def _send(parts: Parts, request: Request, mix_id: str, value: bytes) -> str:
    identity, began_ms = str(uuid4()), now_ms()
    headers: Headers = [
        ("content-type", b"application/json"),
        ("traceparent", traceparent(trace_of(request), identity).encode()),
        ("actor", actor_of(request).encode()),
    ]
    async with kafka_in_time():
        sent = str(await send_request(parts.writer, mix_id, value, headers))
    parent_id = parent_span_in(request.headers.get("traceparent", ""))
    facts = {"mix_id": mix_id, "request": sent}
    tracing.record(
        Span("submit", trace_of(request), span_id_of(identity), parent_id, began_ms, now_ms(), facts)
    )
    return sent


def _answer(response: Response, mix_id: str, record: str | None, revision: int | None = None) -> Asked:
    response.headers["Location"] = mix_href(mix_id)
    return Asked(mix_id=mix_id, record=record, location=mix_href(mix_id), revision=revision)
