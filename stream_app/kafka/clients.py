"""The one place where Kafka clients are made, so that every one of them speaks the same security."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

import stream_app.kafka.hung_broker  # noqa: F401 - before any client connects
from stream_app.domain.errors import UsageError
from stream_app.settings import Settings
from topics.registry import MAX_MESSAGE_BYTES

CLIENT_ID = "clipfold"
"""What Kafka calls every client of ours; the cutter of a worker adds the worker's name."""


METADATA_MAX_AGE_MS = 5000
"""How long a client believes what it was told of leaders.

aiokafka asks a partition's former leader again and again where the partition begins, and learns of the new
one only when this time is over: by default after five minutes, in which nothing of the partition is read.
"""

FETCH_WAIT_MS = 100
"""For a consumer whose other questions, or whose other partitions, must not wait: by default the broker holds
a fetch of nothing new for 0.5 s, and what comes meanwhile stands behind it."""


def bootstrap_servers(settings: Settings) -> str:
    """The Kafka to talk to.

    Raises:
        UsageError: none is named and none was started for this process.
    """
    if settings.kafka_bootstrap is None:
        raise UsageError("no Kafka is named: set RENDER_KAFKA_BOOTSTRAP, or type `clipfold kafka start`")
    return settings.kafka_bootstrap


def connection(settings: Settings) -> dict[str, Any]:
    """What every client needs to reach Kafka: address, security, time limit."""
    options: dict[str, Any] = {
        "bootstrap_servers": bootstrap_servers(settings),
        "security_protocol": settings.kafka_security_protocol,
        "request_timeout_ms": settings.kafka_request_timeout_ms,
        "client_id": CLIENT_ID,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return options


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """Whom to trust, and how to prove who we are."""
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context


def make_producer(settings: Settings) -> AIOKafkaProducer:
    """A producer whose sends count only when every in-sync replica has them.

    A leader that hangs without closing its connections is given up as soon as a worker that hangs would be,
    and the one that was chosen in its place is looked for.
    """
    patience_ms = min(settings.kafka_request_timeout_ms, settings.kafka_session_timeout_ms)
    return AIOKafkaProducer(
        **(connection(settings) | {"request_timeout_ms": patience_ms}),
        acks="all",
        max_request_size=MAX_MESSAGE_BYTES,
        linger_ms=2,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )


def make_consumer(settings: Settings, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer that starts at the beginning and never commits by itself."""
    return AIOKafkaConsumer(
        *topics,
        **(connection(settings) | options),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )


async def stop_consumer(consumer: AIOKafkaConsumer, settings: Settings) -> None:
    """Disconnect, within the time limit of a request; how that fails is of no interest to anyone."""
    with suppress(KafkaError, OSError):
        await asyncio.wait_for(consumer.stop(), settings.kafka_request_timeout_ms / 1000)


def make_admin(settings: Settings) -> AIOKafkaAdminClient:
    """A client that creates and describes topics and groups."""
    return AIOKafkaAdminClient(**connection(settings))
