"""Which Kafka a command talks to: the one that is named, else the embedded broker when it runs."""

from stream_app.cli.exits import ServiceMissingError
from stream_app.kafka import broker
from stream_app.settings import Settings


def with_kafka(settings: Settings) -> Settings:
    """The settings with a Kafka named in them.

    Raises:
        ServiceMissingError: none is named and the embedded one does not run.
    """
    if settings.kafka_bootstrap is not None:
        return settings
    running = broker.status(settings.home)
    if running is None:
        raise ServiceMissingError(
            "no Kafka is there: type `clipfold kafka start`, or name yours with RENDER_KAFKA_BOOTSTRAP"
        )
    return settings.model_copy(update={"kafka_bootstrap": running.bootstrap})
