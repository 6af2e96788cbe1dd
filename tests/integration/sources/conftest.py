"""A server that misbehaves on demand, a client that may talk to it, and what the tests of HLS share."""

from collections.abc import AsyncIterator

import pytest
from fault_server import FaultServer
from hls_world import fmp4, media, source, ts, whole_cut, world

from stream_app.sources.http import HttpClient
from tests.integration.sources.fetching import CONTENT, PATH, settings

__all__ = ["client", "fmp4", "media", "server", "source", "ts", "whole_cut", "world"]


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        server.put(PATH, CONTENT)
        yield server


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with HttpClient(settings()) as client:
        yield client
