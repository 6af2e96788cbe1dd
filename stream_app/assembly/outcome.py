"""How an assembly ended, as its process tells it."""

from pydantic import BaseModel, ConfigDict

from stream_app.assembly.order import Assembled
from stream_app.domain.errors import MixError, OwnFaultError
from topics.reasons import MixFailure


class Outcome(BaseModel):
    """Exactly one of: the video, why the mix failed, or (with neither) a fault of our own."""

    model_config = ConfigDict(frozen=True)

    assembled: Assembled | None = None
    failure: MixFailure | None = None
    message: str = ""

    def result(self) -> Assembled:
        """The video, or the error that was met.

        Raises:
            MixError: the mix cannot be made.
            OwnFaultError: a fault of our own.
        """
        if self.assembled is not None:
            return self.assembled
        if self.failure is not None:
            raise MixError(self.failure, self.message)
        raise OwnFaultError(self.message)
