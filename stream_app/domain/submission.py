"""A mix request as it is sent: checked before, and named, so that sending it again means the same mix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from stream_app.domain.plan import content_digest
from topics.requests import MixRequest


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid mix request with a name: `digest` is of its content, `value` what goes to Kafka."""

    mix_id: str
    digest: str
    value: bytes


def as_submission(request: MixRequest, body: Mapping[str, Any]) -> Submission:
    """Name a request by its content unless it has a name; `body` is what `request` was read from.

    What the user typed is sent, not what was made of it: the log shows the request as it was asked.
    """
    digest = content_digest(request)
    mix_id = request.mix_id or f"mix-{digest[:32]}"
    return Submission(mix_id, digest, to_json({**body, "mix_id": mix_id}))
