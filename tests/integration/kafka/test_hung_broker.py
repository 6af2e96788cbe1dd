"""A broker that takes connections and requests and answers none is given up soon."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.protocol.metadata import MetadataRequest

from stream_app.kafka import hung_broker
from tests.broker_fixture import frozen, own_kafka

PATIENCE_S = 0.5
LIMIT_S = 15
"""Far more than the patience, far less than the 40 s that aiokafka would wait."""


@contextmanager
def hanging(home: Path) -> Iterator[None]:
    """The broker answers nothing, and patience is short; a healthy one on a busy machine needs the usual."""
    with frozen(home), pytest.MonkeyPatch.context() as patch:
        patch.setattr(hung_broker, "PATIENCE_S", PATIENCE_S)
        yield


async def test_a_connection_to_it_is_not_waited_for(tmp_path: Path) -> None:
    with own_kafka(tmp_path) as bootstrap, hanging(tmp_path):
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(TimeoutError):
                await connection_to(bootstrap)


async def test_another_broker_can_be_asked_soon_who_leads(tmp_path: Path) -> None:
    with own_kafka(tmp_path) as bootstrap:
        connection = await connection_to(bootstrap)
        assert (await connection.send(MetadataRequest([]))).brokers
        with hanging(tmp_path):
            async with asyncio.timeout(LIMIT_S):
                with pytest.raises(TimeoutError):
                    await connection.send(MetadataRequest([]))
        connection.close()


async def connection_to(bootstrap: str) -> AIOKafkaConnection:
    host, _, port = bootstrap.partition(":")
    return await create_conn(host, int(port))
