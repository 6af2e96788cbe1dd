"""Orders for the processes that join, and how they ended, as lines of JSON."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from stream_app.assembly.order import Assembled, AssembleOrder, SongOrder
from stream_app.domain.errors import MixError, OwnFaultError
from topics.reasons import MixFailure

Order = AssembleOrder | SongOrder

_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])


def read_order(line: bytes) -> Order:
    """The order of a line."""
    return _ORDER.validate_json(line)


class Outcome(BaseModel):
    """A video or a prepared song, why the mix failed, or a fault of our own."""

    model_config = ConfigDict(frozen=True)

    done: bool = False
    assembled: Assembled | None = None
    failure: MixFailure | None = None
    message: str = ""

    def result(self) -> Assembled | None:
        """The video (None for a song), or the error that was met.

        Raises:
            MixError: the mix cannot be made.
            OwnFaultError: a fault of our own.
        """
        if self.done:
            return self.assembled
        if self.failure is not None:
            raise MixError(self.failure, self.message)
        raise OwnFaultError(self.message)
