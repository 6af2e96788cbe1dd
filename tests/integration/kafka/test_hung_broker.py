"""A broker that takes connections and requests and answers none is given up soon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from stream_app.kafka import hung_broker

PATIENCE_S = 0.5
LIMIT_S = 15
"""Far more than the patience, far less than the 40 s that aiokafka would wait."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung_broker, "PATIENCE_S", PATIENCE_S)


@asynccontextmanager
async def on_the_way_to(bootstrap: str, answers: asyncio.Event) -> AsyncIterator[int]:
    """A port that leads to Kafka; what Kafka says comes through while `answers` is set."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = bootstrap.partition(":")
        from_kafka, to_kafka = await asyncio.open_connection(host, int(port))

        async def back() -> None:
            while said := await from_kafka.read(65536):
                await answers.wait()
                writer.write(said)

        answering = asyncio.create_task(back())
        with suppress(ConnectionError):
            while asked := await reader.read(65536):
                to_kafka.write(asked)
        answering.cancel()
        to_kafka.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_connection_to_it_is_not_waited_for(kafka_bootstrap: str) -> None:
    async with on_the_way_to(kafka_bootstrap, asyncio.Event()) as port, asyncio.timeout(LIMIT_S):
        with pytest.raises(TimeoutError):
            await create_conn("127.0.0.1", port)


async def test_another_broker_can_be_asked_soon_who_leads(kafka_bootstrap: str) -> None:
    answers = asyncio.Event()
    answers.set()
    async with on_the_way_to(kafka_bootstrap, answers) as port, asyncio.timeout(LIMIT_S):
        connection = await create_conn("127.0.0.1", port)
        assert (await connection.send(MetadataRequest([]))).brokers
        answers.clear()
        with pytest.raises(TimeoutError):
            await connection.send(MetadataRequest([]))
        connection.close()
