"""Which addresses may be talked to. What sockets and redirects make of it: tests/integration/sources."""

from contextlib import suppress
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from stream_app.domain.errors import SourceError, UsageError
from stream_app.sources.address import AddressGuard, kind_of, parse_url
from topics.reasons import FallbackReason

SPECIAL = [
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "198.20.0.1", "223.255.255.255"]
PUBLIC += ["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:81b::200e"]

ODD_SPELLINGS = [
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.0.1/",
    "http://10.0x1/",
    "http://0/",
    "http://127.0.0.1.:80/",
    "http://１２７.0.0.1/",  # noqa: RUF001 - that is the trick
    "http://⑯⑨.254.169.254/",
    "http://%31%32%37.0.0.1/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[fe80::1%25eth0]/",
]
NO_ADDRESSES = [
    "",
    "http://",
    "http:///a.mp4",
    "http:a.mp4",
    "//cdn.example/a.mp4",
    "http://[::1/",
    "http://cdn.example:99999/",
    "http://cdn.example:port/",
    "http://cdn example/",
    "http://cdn.example\\@10.0.0.1/",
    "http://localhost%00.cdn.example/",
    "http://-cdn.example/",
    "http://cdn..example/",
]
SCHEMES = [
    "file:///etc/passwd",
    "ftp://cdn.example/a",
    "gopher://cdn.example/",
    "data:,x",
    "ws://cdn.example/",
]
SCHEMES += ["concat:http://cdn.example/a", "hls+http://cdn.example/a", "javascript://cdn.example/"]
USERS = ["http://user@cdn.example/", "http://user:secret@cdn.example/", "http://:secret@cdn.example/"]
USERS += ["http://1.1.1.1@10.0.0.1/", "http://cdn.example%40@10.0.0.1/", "http://@cdn.example:80@10.0.0.1/"]
PORTS = [f"http://cdn.example:{port}/" for port in (0, 1, 22, 25, 81, 2375, 3306, 6379, 9092, 65535)]
PORTS += ["http://1.1.1.1:22/", "https://[2606:4700:4700::1111]:9200/"]


def literal(address: str, port: str = "") -> str:
    return f"http://[{address}]{port}/a.mp4" if ":" in address else f"http://{address}{port}/a.mp4"


def check(text: str, guard: AddressGuard | None = None, came_from: str | None = None) -> None:
    guard = guard or AddressGuard()
    guard.check_url(parse_url(text), None if came_from is None else URL(came_from))


def assert_refused(text: str, guard: AddressGuard | None = None, came_from: str | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        check(text, guard, came_from)
    assert caught.value.reason is FallbackReason.SOURCE_REFUSED
    assert not caught.value.retryable
    return str(caught.value)


@pytest.mark.parametrize(
    "text", [*map(literal, SPECIAL), *ODD_SPELLINGS, *NO_ADDRESSES, *SCHEMES, *USERS, *PORTS]
)
def test_what_is_not_public_is_refused(text: str) -> None:
    assert "secret" not in assert_refused(text)


@pytest.mark.parametrize(
    "text", [*map(literal, PUBLIC), "https://cdn.example:8443/a?b#c", "http://a_b.example/"]
)
def test_what_is_public_is_let_through(text: str) -> None:
    check(text)


@pytest.mark.parametrize("address", SPECIAL)
def test_an_opened_network_is_open_on_every_port(address: str) -> None:
    guard = AddressGuard(allow_cidrs=[ip_network(address)])
    check(literal(address, ":9000"), guard)
    guard.check_endpoint(URL("http://inside.example:9000/"), address, 9000)
    other = "10.9.8.7" if ip_address(address).version == 4 else "fd00::9"
    assert f"{other} in RENDER_ALLOW_CIDRS" in assert_refused(literal(other), guard)


@pytest.mark.parametrize("address", SPECIAL)
def test_an_opened_literal_host_is_open(address: str) -> None:
    check(literal(address, ":9000"), AddressGuard([address]))


@pytest.mark.parametrize("text", PORTS)
def test_an_opened_host_is_open_on_every_port(text: str) -> None:
    url = URL(text)
    check(text, AddressGuard(["other.example", str(url.host_subcomponent)]))
    check(text, AddressGuard([f"{url.host_subcomponent}:{url.port}"]))
    assert_refused(text, AddressGuard([f"{url.host_subcomponent}:7"]))


def test_a_name_on_an_odd_port_waits_for_its_address_when_networks_are_open() -> None:
    guard = AddressGuard(allow_cidrs=[ip_network("10.0.0.0/8")])
    url = URL("http://cdn.example:9000/")
    guard.check_url(url)
    guard.check_endpoint(url, "10.1.2.3", 9000)
    with pytest.raises(SourceError, match=r"the port 9000 .* put cdn.example:9000 in RENDER_ALLOW_HOSTS"):
        guard.check_endpoint(url, "1.1.1.1", 9000)


@pytest.mark.parametrize("text", [*SCHEMES, *USERS, *NO_ADDRESSES, "http://127.1/", "http://0x7f.1/"])
def test_opening_hosts_opens_no_schemes_users_or_odd_spellings(text: str) -> None:
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    guard = AddressGuard(["cdn.example", "10.0.0.1", "127.1", "0x7f.1"], everything)
    assert_refused(text, guard)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
def test_hosts_are_compared_without_case_and_final_dot(host: str) -> None:
    assert AddressGuard([host]).opens(URL("http://LocalHost.:9000/"))
    assert AddressGuard([host]).opens(parse_url("http://LocalHost.:9000/"))
    assert not AddressGuard([host]).opens(URL("http://evil.localhost/"))
    assert not AddressGuard([host]).opens(URL("http://localhost.evil/"))


@pytest.mark.parametrize(
    "entry", ["http://cdn", "10.0.0.0/8", "user@cdn", "c d n", "cdn:port", "[::1", "*.cdn"]
)
def test_an_entry_that_is_no_host_is_wrong_use(entry: str) -> None:
    with pytest.raises(UsageError, match="RENDER_ALLOW_HOSTS"):
        AddressGuard([entry])


def test_a_redirect_from_https_to_http_is_refused_unless_the_host_is_opened() -> None:
    message = assert_refused("http://cdn.example/a", came_from="https://cdn.example/a")
    assert "put cdn.example in RENDER_ALLOW_HOSTS" in message
    check("http://cdn.example/a", AddressGuard(["cdn.example"]), came_from="https://cdn.example/a")
    check("https://cdn.example/a", came_from="http://cdn.example/a")


def test_a_refusal_names_the_address_and_what_opens_it_but_no_token() -> None:
    assert assert_refused("http://10.0.0.5/a.mp4?token=abc#d") == (
        "http://10.0.0.5/a.mp4: the address 10.0.0.5 is private; to fetch from it put 10.0.0.5 in "
        "RENDER_ALLOW_HOSTS, or 10.0.0.5 in RENDER_ALLOW_CIDRS"
    )


@pytest.mark.parametrize(
    "text", ["http://me:secret@h:99999/a?secret", "http://me:secret@[::1/", "http://h:x?secret"]
)
def test_what_is_no_address_is_named_without_its_secrets(text: str) -> None:
    assert "secret" not in assert_refused(text)


@pytest.mark.parametrize(
    "text", ["https://cdn.example/a%2Fb/c%20d?sig=a%2Fb%3D&e=1+2", "https://cdn.example/a;b=(c)!$&'*,~?%41"]
)
def test_a_well_written_address_is_sent_as_it_is(text: str) -> None:
    assert str(parse_url(text)) == text


def test_an_address_in_plain_words_is_encoded() -> None:
    assert str(parse_url("http://bücher.example/ä b")) == "http://xn--bcher-kva.example/%C3%A4%20b"


@given(st.ip_addresses())
def test_whatever_python_holds_for_special_is_refused_too(address: object) -> None:
    ip = ip_address(str(address))
    if not ip.is_global:
        assert kind_of(ip) is not None


@given(st.text() | st.from_regex(r"https?://[\x21-\x7e]{0,40}", fullmatch=True))
def test_any_text_is_judged_without_a_crash(text: str) -> None:
    with suppress(SourceError):
        check(text)
