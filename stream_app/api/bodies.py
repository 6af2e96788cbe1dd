"""What is sent to the API: JSON objects of a bounded size, and nothing that a web page could send unasked."""

import asyncio
import re
from typing import Any

from fastapi import Request

from stream_app.api.problems import Problem, invalid
from topics.codec import MAX_RECORD_BYTES, NoObject, read_object
from topics.events import FieldError

MAX_BODY_BYTES = MAX_RECORD_BYTES
"""A request becomes one record, so none larger can be sent on."""

BODY_TIMEOUT_S = 30.0
"""A body has so long to arrive, from its headers to its last byte."""

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
_JSON = re.compile(r"application/(?:[a-z0-9.!#$&^_-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


async def json_only(request: Request) -> None:
    """A dependency of every endpoint: nothing is changed for what does not say that it is JSON.

    A page of another site can have a browser send a form or plain text here without asking; for JSON the
    browser asks first whether it may, and nobody here says yes.

    Raises:
        Problem: 415.
    """
    content_type = request.headers.get("content-type", "")
    if request.method in CHANGING and not _JSON.fullmatch(content_type):
        detail = "send Content-Type: application/json, also when there is no body"
        raise Problem(415, detail)


async def read_body(
    request: Request, *, optional: bool = False, max_bytes: int = MAX_BODY_BYTES
) -> dict[str, Any]:
    """The JSON object that was sent; an empty one when nothing was and that is allowed.

    Raises:
        Problem: 400 when it cannot be read as JSON, 422 when it can and is no object, 408 when it does not
            arrive in time, 413 when it has more than `max_bytes`.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await _received(request, max_bytes)
    except TimeoutError as error:
        detail = f"the body did not arrive within {BODY_TIMEOUT_S:g} s"
        raise Problem(408, detail, headers={"Connection": "close"}) from error
    if optional and not raw.strip():
        return {}
    body = await asyncio.to_thread(read_object, raw)
    if isinstance(body, NoObject):
        raise invalid([FieldError(path="", code="no_object", message=body.error)])
    if not isinstance(body, dict):
        raise Problem(400, getattr(body, "error", "a JSON object is expected"))
    return body


async def _received(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise Problem(413, f"at most {max_bytes} bytes are taken here")
    return bytes(body)
