"""The address guard: which addresses of the network may be talked to. Pure: it neither resolves nor connects.

A request names its sources, so an address is a stranger's word: without a guard a worker would fetch from the
machine itself, from the network behind its firewall, or from the cloud's metadata service on 169.254.169.254.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

from stream_app.domain.errors import SourceError, UsageError
from stream_app.sources.fetch_error import refused
from stream_app.sources.shown import shown

PORTS = frozenset({80, 443, 8080, 8443})
"""Ports that web servers are found on; behind others are databases and the like."""

_KINDS = [
    (ip_network(network), kind)
    for network, kind in (
        # IANA's registries of special purpose addresses, RFC 6890 and its successors.
        ("0.0.0.0/8", "this machine"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared between a provider's customers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.88.99.0/24", "a relay into IPv6"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved for benchmarks"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "this machine"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in IPv6 clothes"),
        ("::ffff:0:0:0/96", "an IPv4 address in IPv6 clothes"),
        ("::/96", "an IPv4 address in IPv6 clothes"),
        ("64:ff9b::/96", "an IPv4 address behind a translator (NAT64)"),
        ("64:ff9b:1::/48", "an IPv4 address behind a translator (NAT64)"),
        ("2001::/32", "an IPv4 address in a tunnel (Teredo)"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "reserved for documentation"),
        ("2002::/16", "an IPv4 address in a tunnel (6to4)"),
        ("3fff::/20", "reserved for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
]
_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All that IANA gives out; what lies outside of it is nobody's yet."""

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label like this makes system calls read the whole name as an IPv4 address: 127.1, 0x7f000001."""

_WELL_WRITTEN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")


def parse_url(text: str) -> URL:
    """Read an address; one that is written correctly stays as it is, because signatures may depend on that.

    Raises:
        SourceError: `source_refused`: it is no address.
    """
    try:
        url = URL(text, encoded=_WELL_WRITTEN.fullmatch(text) is not None)
        _ = url.port  # It is taken apart, and may turn out to be none, only when it is asked for a part.
    except ValueError:
        # Nor does the library's message go along: it may have the password.
        raise refused(f"{shown(text)!r} is no address") from None
    return url


class AddressGuard:
    """Refuses every address that is not public, but for those that the settings open.

    Args:
        allow_hosts: names or literal addresses, as `host` or `host:port`; open whatever they resolve to.
        allow_cidrs: networks that are open on every port.

    Raises:
        UsageError: an entry of `allow_hosts` is no host.
    """

    def __init__(
        self, allow_hosts: Sequence[str] = (), allow_cidrs: Sequence[IPv4Network | IPv6Network] = ()
    ) -> None:
        self._hosts = frozenset(_entry(text) for text in allow_hosts if text)
        self._networks = tuple(allow_cidrs)

    def opens(self, url: URL) -> bool:
        """Whether the settings open the host of `url` by name."""
        host = _host(url)
        return bool({(host, None), (host, url.port)} & self._hosts)

    def check_url(self, url: URL, came_from: URL | None = None) -> None:
        """Judge what can be judged before names are resolved.

        Args:
            url: where the next request would go.
            came_from: the address that redirected there.

        Raises:
            SourceError: `source_refused`.
        """
        if url.scheme not in ("http", "https"):
            raise refused(f"{shown(url)} has a scheme that is not http or https")
        if url.raw_user is not None or url.raw_password is not None:
            raise refused(f"{shown(url)} carries a user name or a password; take them out")
        host = _host(url)
        literal = _literal(host)
        if literal is None and not _NAME.fullmatch(host):
            raise refused(f"{shown(url)} names no host")
        if literal is None and _NUMBER.fullmatch(host.rpartition(".")[2]):
            raise refused(f"{shown(url)}: write the address {host} as four plain decimal numbers")
        if self.opens(url):
            return
        if came_from is not None and (came_from.scheme, url.scheme) == ("https", "http"):
            # Whoever sits on the way could then hand out any picture; the request asked for better.
            raise refused(f"{shown(url)} is http, and https was asked for; to fetch it {_how_to_open(url)}")
        port = url.port or 0
        if literal is not None:
            self.check_endpoint(url, str(literal), port)
        elif port not in PORTS and not self._networks:
            raise _port_refused(url, port)

    def check_endpoint(self, url: URL, address: str, port: int) -> None:
        """Judge what a socket is about to connect to for `url`, whose host is not open by name.

        Raises:
            SourceError: `source_refused`.
        """
        ip = ip_address(address)
        if any(ip in network for network in self._networks):
            return
        kind = kind_of(ip)
        if kind is not None:
            raise refused(
                f"{shown(url)}: the address {ip} is {kind}; to fetch from it {_how_to_open(url)}, "
                f"or {ip} in RENDER_ALLOW_CIDRS"
            )
        if port not in PORTS:
            raise _port_refused(url, port)


def kind_of(address: IPv4Address | IPv6Address) -> str | None:
    """What is special about `address`; None for a public one."""
    for network, kind in _KINDS:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return "reserved"
    return None


def _host(url: URL) -> str:
    """The host of `url`, spelled in one way only."""
    name = (url.raw_host or "").lower().rstrip(".")
    return str(_literal(name) or name)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _entry(text: str) -> tuple[str, int | None]:
    is_bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
    try:
        url = URL(f"http://[{text}]" if is_bare_ipv6 else f"http://{text}")
    except ValueError:
        url = URL()
    host = _host(url)
    if set(text) & set("/?#@") or not (_literal(host) or _NAME.fullmatch(host)):
        raise UsageError(f"RENDER_ALLOW_HOSTS: {text!r} is no host and no host:port")
    return host, url.explicit_port


def _how_to_open(url: URL) -> str:
    return f"put {url.host_subcomponent} in RENDER_ALLOW_HOSTS"


def _port_refused(url: URL, port: int) -> SourceError:
    usual = ", ".join(map(str, sorted(PORTS)))
    return refused(
        f"{shown(url)}: the port {port} is none of {usual}; "
        f"to fetch from it put {url.host_port_subcomponent} in RENDER_ALLOW_HOSTS"
    )
