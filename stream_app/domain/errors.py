"""The one root of every error that clipfold raises on purpose."""

from topics.reasons import FallbackReason, MixFailure


class ClipfoldError(Exception):
    """Something went wrong that clipfold knows how to name.

    Attributes:
        stage: where it happened, such as `probe`, `cut`, `verify`, `join`, `config`.
        reason: a code of a closed set that events, metrics and SQL count by, when there is one.
        retryable: whether the same thing may succeed when it is simply tried again.
    """

    stage = "clipfold"
    retryable = False
    reason: str | None = None


class SourceError(ClipfoldError):
    """A candidate could not be had or cut; the line falls through to its next one.

    Attributes:
        retry_after_ms: a server's or a circuit breaker's own word on how long to wait before the next try.
    """

    def __init__(
        self,
        reason: FallbackReason,
        message: str,
        *,
        stage: str,
        retryable: bool = False,
        retry_after_ms: int = 0,
    ) -> None:
        super().__init__(message)
        self.reason: FallbackReason = reason
        self.stage = stage
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms

    def in_words(self, message: str) -> "SourceError":
        """The same failure as another exception, told as `message`."""
        return SourceError(
            self.reason,
            message,
            stage=self.stage,
            retryable=self.retryable,
            retry_after_ms=self.retry_after_ms,
        )


class MixError(ClipfoldError):
    """The mix as a whole cannot be made; it ends as `mix-failed`."""

    stage = "join"

    def __init__(self, reason: MixFailure, message: str) -> None:
        super().__init__(message)
        self.reason: MixFailure = reason


class OwnFaultError(ClipfoldError):
    """A fault of our own side (disk full, Kafka away): the work waits and is retried, never a placeholder."""

    retryable = True

    @classmethod
    def of_disk(cls, what: str, error: OSError) -> "OwnFaultError":
        """Our disk did not take something; `what` completes "cannot ..."."""
        return cls(f"cannot {what}: {error.strerror or error}; check the artifacts disk")


class UsageError(ClipfoldError):
    """The user asked for something that cannot be; the message says what to type instead."""

    stage = "usage"
