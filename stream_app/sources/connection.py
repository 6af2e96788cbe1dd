"""Connections to sources' servers: guarded, shared by requests of one host, each step with its time limit."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp
from aiohappyeyeballs import AddrInfoType
from yarl import URL

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.address import AddressGuard
from stream_app.sources.fetch_error import FetchError, no_answer
from stream_app.sources.resolver import Resolver

CONNECTIONS_PER_HOST = 16
"""Browsers open 6; a worker stands for several viewers, and a host that takes 1 s to answer must not hold up
its slots."""

USER_AGENT = "clipfold"

_hop: ContextVar["Hop | None"] = ContextVar("hop", default=None)


@dataclass
class Hop:
    """One request to one address; the guard and the time limits of its connection know of it.

    Attributes:
        url: what is asked for.
        is_open: the settings open its host by name.
        deadline: runs out when the step in progress has lasted too long.
        step: `connection` or `answer`; what is waited for.
        sent_at: when there was a connection to send it on.
        refusal: an address of the host that the guard refused.
        has_allowed: another address was let through.
    """

    url: URL
    is_open: bool
    deadline: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    step: str = "connection"
    sent_at: float = 0.0
    refusal: SourceError | None = None
    has_allowed: bool = False


class Connections:
    """The aiohttp session of a worker, for requests that carry nothing over from one to the next.

    Args:
        settings: its time limits, and what it opens the guard for.
        guard: judges every address before a socket for it is made.
        clock: seconds that only go forward.
    """

    def __init__(self, settings: Settings, guard: AddressGuard, clock: Callable[[], float]) -> None:
        self._guard = guard
        self._clock = clock
        self._limits_s = {
            "connection": settings.fetch_connect_timeout_ms / 1000,
            "answer": settings.fetch_answer_timeout_ms / 1000,
        }
        self._resolver = Resolver()
        self._session = aiohttp.ClientSession(
            # Sockets are where every address passes: of names, of literals, of redirects. A resolver of our
            # own would not see literals, and what it saw need not be what is connected to (DNS rebinding).
            connector=aiohttp.TCPConnector(
                socket_factory=self._guarded_socket,
                resolver=self._resolver,
                ssl=ssl.create_default_context(),
                limit=0,
                limit_per_host=CONNECTIONS_PER_HOST,
            ),
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trace_configs=[self._step_by_step()],
            read_bufsize=2**18,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        await self._resolver.close()

    async def head_of(self, url: URL, headers: dict[str, str]) -> tuple[aiohttp.ClientResponse, float]:
        """Send a GET and wait for the head of the answer, whatever its status; the caller closes it.

        Returns the answer, and when its request was sent: the wait for a connection to be free is no time
        of the server's.

        Raises:
            SourceError: `source_refused`; `cdns_unreachable` when a step takes too long.
            aiohttp.ClientError: anything else that went wrong.
        """
        hop = Hop(url, self._guard.opens(url))
        token = _hop.set(hop)
        try:
            async with hop.deadline:
                self._begin(hop, "connection")
                response = await self._session.get(
                    url, headers=headers, allow_redirects=False, trace_request_ctx=hop
                )
                return response, hop.sent_at
        except TimeoutError:
            raise no_answer(url, f"no {hop.step} in {self._limits_s[hop.step]:g} s") from None
        except aiohttp.ClientConnectorError:
            if hop.refusal is not None and not hop.has_allowed:
                raise hop.refusal from None
            raise
        finally:
            _hop.reset(token)

    def _guarded_socket(self, info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        hop = _hop.get()
        if hop is None:
            raise PermissionError("a connection that nobody asked for")
        if not hop.is_open:
            try:
                self._guard.check_endpoint(hop.url, str(address[0]), int(address[1]))
            except FetchError as refusal:
                hop.refusal = refusal
                # An OSError, so that the host's other addresses are still tried.
                raise PermissionError(str(refusal)) from refusal
        hop.has_allowed = True
        return socket.socket(family, kind, protocol)

    def _begin(self, hop: Hop, step: str) -> None:
        hop.step = step
        hop.deadline.reschedule(asyncio.get_running_loop().time() + self._limits_s[step])

    def _step_by_step(self) -> aiohttp.TraceConfig:
        """Each step gets its own time; waiting for one of the host's connections to be free is ours."""

        async def queued(_: aiohttp.ClientSession, ctx: SimpleNamespace, __: object) -> None:
            ctx.trace_request_ctx.deadline.reschedule(None)

        async def unqueued(_: aiohttp.ClientSession, ctx: SimpleNamespace, __: object) -> None:
            self._begin(ctx.trace_request_ctx, "connection")

        async def connected(_: aiohttp.ClientSession, ctx: SimpleNamespace, __: object) -> None:
            ctx.trace_request_ctx.sent_at = self._clock()
            self._begin(ctx.trace_request_ctx, "answer")

        trace = aiohttp.TraceConfig()
        trace.on_connection_queued_start.append(queued)
        trace.on_connection_queued_end.append(unqueued)
        trace.on_connection_create_end.append(connected)
        trace.on_connection_reuseconn.append(connected)
        return trace
