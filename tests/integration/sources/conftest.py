"""A server that misbehaves on demand, and a client that may talk to it."""

from collections.abc import AsyncIterator

import pytest
from fault_server import FaultServer

from stream_app.sources.http import HttpClient
from tests.integration.sources.fetching import CONTENT, PATH, settings


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        server.put(PATH, CONTENT)
        yield server


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with HttpClient(settings()) as client:
        yield client
