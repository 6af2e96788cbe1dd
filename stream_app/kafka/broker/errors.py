"""What can go wrong with the embedded broker."""

from stream_app.domain.errors import ClipfoldError


class BrokerError(ClipfoldError):
    """The embedded broker could not be fetched, started or stopped; the message says what to do."""

    stage = "broker"
    retryable = True
