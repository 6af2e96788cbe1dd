"""The address guard where it stands, at the socket; and TLS."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import trustme
from fault_server import Fault, FaultServer

from stream_app.sources.http import HttpClient
from tests.integration.sources.fetching import (
    CONTENT,
    PATH,
    REFUSED,
    UNREACHABLE,
    failure,
    fetch,
    redirect,
    settings,
)

INSIDE = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "198.18.0.1", "::1", "fd00:ec2::254"]
INSIDE += [
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "224.0.0.1",
]


def names_mean(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""

    def getaddrinfo(_: str, port: int, *__: object) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    names_mean(monkeypatch, address)
    async with HttpClient(settings(allow_cidrs=())) as client:
        error = await failure(client, "http://cdn.example/a.mp4")
    assert (error.reason, error.retryable) == (REFUSED, False)
    assert "put cdn.example in RENDER_ALLOW_HOSTS" in str(error)


async def test_a_name_with_several_addresses_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names_mean(monkeypatch, *INSIDE)
    async with HttpClient(settings(allow_cidrs=())) as client:
        assert (await failure(client, "http://cdn.example/a.mp4")).reason is REFUSED


async def test_only_the_allowed_ones_of_a_names_addresses_are_used(
    server: FaultServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    names_mean(monkeypatch, "10.0.0.1", "::1", "127.0.0.1")
    _, body = await fetch(client, server.url(PATH, "cdn.example"))
    assert body == CONTENT


async def test_a_name_that_is_opened_is_talked_to_wherever_it_leads(server: FaultServer) -> None:
    for opened in ("localhost", f"LOCALHOST:{server.port}"):
        async with HttpClient(settings(allow_cidrs=(), allow_hosts=(opened,))) as client:
            _, body = await fetch(client, server.url(PATH, "localhost"))
            assert body == CONTENT
            # Open is the name, not the address behind it.
            assert (await failure(client, server.url(PATH))).reason is REFUSED


async def test_a_name_that_changes_its_address_is_caught(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults[PATH] = Fault(headers={"Connection": "close"})
    async with HttpClient(settings(allow_cidrs=(ip_network("127.0.0.1/32"),))) as client:
        names_mean(monkeypatch, "127.0.0.1")
        await fetch(client, server.url(PATH, "rebind.example"))
        names_mean(monkeypatch, "127.0.0.2")
        client._connections._session.connector.clear_dns_cache()  # noqa: SLF001 - its 10 s are over
        assert (await failure(client, server.url(PATH, "rebind.example"))).reason is REFUSED


@pytest.mark.parametrize("hops", [1, 2, 3])
async def test_every_hop_is_judged(server: FaultServer, hops: int) -> None:
    for hop in range(1, hops):
        server.faults[f"/{hop}"] = redirect(f"/{hop + 1}")
    server.faults[f"/{hops}"] = redirect(f"http://127.0.0.2:{server.port}{PATH}")
    async with HttpClient(settings(allow_cidrs=(ip_network("127.0.0.1/32"),))) as client:
        error = await failure(client, server.url("/1"))
    assert error.reason is REFUSED
    assert server.requests[PATH] == 0


@pytest.mark.parametrize("address", [address for address in INSIDE if address != "127.0.0.1"])
async def test_a_redirect_inside_is_refused(server: FaultServer, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    server.faults[PATH] = redirect(f"http://{host}/latest/meta-data")
    async with HttpClient(settings(allow_cidrs=(ip_network("127.0.0.1/32"),))) as client:
        error = await failure(client, server.url(PATH))
    assert error.reason is REFUSED
    assert f"the address {ip_address(address)} is" in str(error)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def tls_server(authority: trustme.CA) -> AsyncIterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with FaultServer(tls=context) as server:
        server.put(PATH, CONTENT)
        yield server


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with authority.cert_pem.tempfile() as file:
        monkeypatch.setenv("SSL_CERT_FILE", file)
        yield


async def test_a_server_that_cannot_be_trusted_is_left(tls_server: FaultServer, client: HttpClient) -> None:
    error = await failure(client, tls_server.url(PATH, "localhost"))
    assert (error.reason, error.retryable) == (UNREACHABLE, True)
    assert "certificate" in str(error)
    assert tls_server.total_requests == 0


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_is_for_its_name_only(tls_server: FaultServer) -> None:
    async with HttpClient(settings()) as client:
        _, body = await fetch(client, tls_server.url(PATH, "localhost"))
        assert body == CONTENT
        assert (await failure(client, tls_server.url(PATH))).reason is UNREACHABLE


@pytest.mark.usefixtures("trusted")
async def test_a_redirect_from_https_to_http_is_refused(tls_server: FaultServer, server: FaultServer) -> None:
    tls_server.faults[PATH] = redirect(server.url(PATH))
    async with HttpClient(settings()) as client:
        error = await failure(client, tls_server.url(PATH, "localhost"))
    assert error.reason is REFUSED
    assert server.total_requests == 0
