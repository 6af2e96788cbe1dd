"""Free loopback ports, and the same ones again while nobody else has them."""

import socket
from contextlib import ExitStack

from stream_app.kafka.broker.properties import Ports


def choose_ports(*preferred: Ports | None) -> tuple[Ports, ...]:
    """For each broker two ports that nobody listens on: the preferred ones where they are free, else any."""
    with ExitStack() as held:
        return tuple(
            Ports(
                _hold(held, ports.clients if ports else 0),
                _hold(held, ports.controller if ports else 0),
            )
            for ports in preferred
        )


def _hold(held: ExitStack, wanted: int) -> int:
    for port in (wanted, 0):
        listener = held.enter_context(socket.socket())
        # As the JVM does: connections that a broker left behind in TIME_WAIT are in nobody's way.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1)
        except OSError:
            if port == 0:
                raise
        else:
            chosen: int = listener.getsockname()[1]
            return chosen
    raise AssertionError("unreachable: any port was free, or the system said why not")
