"""Identities that a redelivery makes again: every id here is a pure function of its cause."""

import re
from dataclasses import dataclass
from typing import Annotated, Self
from uuid import UUID, uuid5

from pydantic import Field

NAMESPACE = UUID("5d0c4f0e-9a3f-5b53-8f0e-3f1c1f6a7c11")
"""Root of all derived ids. Changing it would make every redelivery look new."""

MIX_ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"
MixId = Annotated[str, Field(pattern=MIX_ID_PATTERN, description="id of the mix")]
TraceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="W3C trace id, 32 hex digits")]

_MIX_ID = re.compile(MIX_ID_PATTERN)
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<rest>-.*)?"
)
_RECORD_REF = re.compile(
    r"(?P<topic>[a-zA-Z0-9._-]{1,249})/(?P<partition>[0-9]{1,10})/(?P<offset>[0-9]{1,19})"
)


@dataclass(frozen=True, slots=True, order=True)
class RecordRef:
    """Where a record stands in Kafka; written `topic/partition/offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `topic/partition/offset`.

        Raises:
            ValueError: it is not of that form.
        """
        match = _RECORD_REF.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:300]!r} is not of the form topic/partition/offset")
        return cls(match["topic"], int(match["partition"]), int(match["offset"]))


def is_mix_id(text: str) -> bool:
    """Whether `text` may name a mix."""
    return _MIX_ID.fullmatch(text) is not None


def derived_id(*cause: object) -> str:
    """The uuid5 of a cause: equal causes give equal ids, so a redelivery makes the same event again."""
    return str(uuid5(NAMESPACE, "\x1f".join(str(part) for part in cause)))


def minted_mix_id(ref: RecordRef) -> str:
    """A mix id for a request that names none, from where it stands in Kafka."""
    return f"mix-{derived_id('mix', ref)}"


def trace_id_in(traceparent: str) -> str | None:
    """The trace id in a W3C `traceparent`; `None` when it is not well-formed."""
    match = _TRACEPARENT.fullmatch(traceparent)
    # Only versions after 00 may say more than those four parts.
    return match["trace"] if match and not (match["version"] == "00" and match["rest"]) else None


def trace_id_of(traceparent: str | None, ref: RecordRef) -> str:
    """The trace a record belongs to: its W3C `traceparent`'s, else one minted from where it stands."""
    return trace_id_in(traceparent or "") or derived_id("trace", ref).replace("-", "")


def traceparent(trace_id: str, event_id: str) -> str:
    """The W3C `traceparent` that a record sent on behalf of `trace_id` carries: version 00, sampled."""
    return f"00-{trace_id}-{event_id.replace('-', '')[:16]}-01"
