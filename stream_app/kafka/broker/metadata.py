"""Ask a broker for its metadata: an open port is no broker that works yet."""

import socket
import struct
from dataclasses import dataclass
from io import BytesIO

METADATA_API = 3
METADATA_VERSION = 2
"""The oldest that tells the cluster id; Kafka 4 and all before it answer it."""

LARGEST_ANSWER = 2**20
"""Bytes; without topics an answer has about a hundred, so what says more is no Kafka."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a broker says of its cluster."""

    ports: tuple[int, ...]
    cluster_id: str | None
    controller_id: int


def ask_metadata(port: int, *, timeout_s: float) -> Metadata | None:
    """The metadata, without topics, of the broker on this loopback port; None without a good answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            connection.sendall(_request())
            with connection.makefile("rb") as stream:
                (size,) = struct.unpack(">i", stream.read(4))
                return _parse(stream.read(size)) if 0 < size <= LARGEST_ANSWER else None
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def _request() -> bytes:
    client = b"clipfold"
    header = struct.pack(">hhih", METADATA_API, METADATA_VERSION, 0, len(client)) + client
    no_topics = struct.pack(">i", 0)
    return struct.pack(">i", len(header + no_topics)) + header + no_topics


def _parse(answer: bytes) -> Metadata:
    stream = BytesIO(answer)
    _correlation, brokers = _take(stream, ">ii")
    ports = []
    for _ in range(brokers):
        _take(stream, ">i")
        _text(stream)
        ports.append(_take(stream, ">i")[0])
        _text(stream)
    cluster_id = _text(stream)
    return Metadata(tuple(ports), cluster_id, _take(stream, ">i")[0])


def _take(stream: BytesIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))


def _text(stream: BytesIO) -> str | None:
    (length,) = _take(stream, ">h")
    return None if length < 0 else stream.read(length).decode()
