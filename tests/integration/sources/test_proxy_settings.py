"""What the environment says of proxies changes nothing: a proxy would choose the address, unguarded."""

import pytest
from fault_server import FaultServer

from stream_app.sources.http import HttpClient
from tests.integration.sources.fetching import CONTENT, PATH, fetch


async def test_no_proxy_of_the_environment_is_asked(
    server: FaultServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody listens there: whoever asked it would fail.
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    _, body = await fetch(client, server.url(PATH))
    assert body == CONTENT
