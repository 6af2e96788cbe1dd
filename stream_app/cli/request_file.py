"""A mix request or a change of one in a file: read, checked and named before anything is started for it."""

from pathlib import Path
from typing import Any

from stream_app.domain.errors import ClipfoldError, UsageError
from stream_app.domain.submission import Submission, as_submission
from stream_app.domain.validate import validate_request
from topics.codec import read_object
from topics.events import FieldError
from topics.requests import MixRequest, MixRevise


class RejectedError(ClipfoldError):
    """The request asks what cannot be; every error is named."""

    stage = "request"

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("the request was rejected:\n" + "\n".join(map(describe, errors)))


def describe(error: FieldError) -> str:
    """One error of a request for a person."""
    return f"  {error.path or '/'}: {error.message} ({error.code})"


def read_request(path: Path, mix_id: str | None = None) -> Submission:
    """Read and check a request, under another `mix_id` than the file's when one is given.

    Without any it is named by its content, so that the same file means the same mix again.

    Raises:
        UsageError: the file cannot be read, is no JSON object, or is no mix request.
        RejectedError: it is one, with errors.
    """
    body = _object_in(path)
    if mix_id is not None:
        body["mix_id"] = mix_id
    command = validate_request(body)
    if isinstance(command, tuple):
        raise RejectedError(command)
    if not isinstance(command, MixRequest):
        raise UsageError(f"{path} is a {command.type}, not a mix-request")
    return as_submission(command, body)


def read_change(path: Path, mix_id: str) -> MixRevise:
    """Read and check a change of the mix `mix_id`, which the file need not name, nor its own type.

    Raises:
        UsageError: the file cannot be read, is no JSON object, or is about something else.
        RejectedError: it is a change, with errors.
    """
    body = _object_in(path)
    if body.get("mix_id", mix_id) != mix_id:
        raise UsageError(f"{path} is a change of {body['mix_id']}, not of {mix_id}")
    command = validate_request({"type": "mix-revise", **body, "mix_id": mix_id})
    if isinstance(command, tuple):
        raise RejectedError(command)
    if not isinstance(command, MixRevise):
        raise UsageError(f"{path} is a {command.type}, not a mix-revise")
    return command


def _object_in(path: Path) -> dict[str, Any]:
    try:
        body = read_object(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(body, dict):
        raise UsageError(f"{path} holds no request: {body}")
    return body
