"""Orders and answers as lines of JSON: a decoder that was taken over could make a pickle run anything."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from stream_app.cutting.orders import Order, Result
from stream_app.domain.errors import ClipfoldError, OwnFaultError, SourceError
from topics.reasons import FallbackReason

READY = b"ready\n"
"""The first line of a process: it has loaded everything and takes orders."""


@dataclass(frozen=True)
class Done:
    """The clip is stored, or the question answered."""

    result: Result
    kind: Literal["done"] = "done"


@dataclass(frozen=True)
class Failed:
    """It could not be made; `reason` is None for a fault of our own."""

    reason: FallbackReason | None
    message: str
    stage: str
    retryable: bool
    kind: Literal["failed"] = "failed"

    @classmethod
    def of(cls, error: SourceError | OwnFaultError) -> "Failed":
        """The failure that `error` tells."""
        reason = error.reason if isinstance(error, SourceError) else None
        return cls(reason, str(error), error.stage, error.retryable)

    def error(self) -> ClipfoldError:
        """The error that was told."""
        if self.reason is None:
            return OwnFaultError(self.message)
        return SourceError(self.reason, self.message, stage=self.stage, retryable=self.retryable)


Answer = Done | Failed

_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


def order_line(order: Order) -> bytes:
    """An order as one line."""
    return _ORDER.dump_json(order) + b"\n"


def read_order(line: bytes) -> Order:
    """The order of a line."""
    return _ORDER.validate_json(line)


def answer_line(answer: Answer) -> bytes:
    """An answer as one line."""
    return _ANSWER.dump_json(answer) + b"\n"


def read_answer(line: bytes) -> Answer:
    """The answer of a line; ValueError when it is none."""
    return _ANSWER.validate_json(line)
