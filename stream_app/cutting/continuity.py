"""Where an MPEG transport stream lost something.

Each of its channels counts its packets, modulo 16. And in channels of sound and picture, what begins in a
packet begins with a start code and the channel's kind of content; FFmpeg passes over a frame that does not,
without a word.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from stream_app.sources.transport_stream import (
    HAS_ADAPTATION,
    HAS_PAYLOAD,
    NULL_CHANNEL,
    PACKET,
    START_CODE,
    STARTS,
    SYNC,
    channel_of,
)

SYNC_BYTE = bytes([SYNC])
PACKET_SIZES = (PACKET, PACKET + 4, PACKET + 16)
"""Plain; with a time code before each packet (Blu-ray, camcorders); with error correction after it."""

ENOUGH = 5
"""So many sync bytes in step are no accident."""


def losses(path: Path) -> list[int]:
    """Byte positions before which packets are missing, or in the place of which something else lies."""
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return list(_losses(data))


def _losses(data: mmap.mmap) -> Iterator[int]:
    first = _in_step(data, 0)
    if first is None:
        return
    position, size = first
    counters: dict[int, int] = {}
    heads: dict[int, bytes] = {}
    while position + PACKET <= len(data):
        if data[position] != SYNC:
            yield position
            again = _in_step(data, position)
            if again is None:
                return
            position, size = again
            continue
        if _is_gap(data, position, counters) or _begins_with_garbage(data, position, heads):
            yield position
        position += size


def _is_gap(data: mmap.mmap, position: int, counters: dict[int, int]) -> bool:
    channel = channel_of(data, position)
    control = data[position + 3]
    if channel == NULL_CHANNEL or not control & HAS_PAYLOAD:
        return False
    counter = control & 0x0F
    before = counters.get(channel)
    counters[channel] = counter
    if before is None or counter in (before, (before + 1) % 16):
        return False
    # A gap may be announced, where recordings were joined on purpose.
    announced = control & HAS_ADAPTATION and data[position + 4] > 0 and data[position + 5] & 0x80
    return not announced


def _begins_with_garbage(data: mmap.mmap, position: int, heads: dict[int, bytes]) -> bool:
    control = data[position + 3]
    if not (data[position + 1] & STARTS and control & HAS_PAYLOAD):
        return False
    channel = channel_of(data, position)
    payload = position + 4 + (1 + data[position + 4] if control & HAS_ADAPTATION else 0)
    head = data[payload : payload + len(START_CODE) + 1]
    if head.startswith(START_CODE):
        return heads.setdefault(channel, head) != head
    return channel in heads


def _in_step(data: mmap.mmap, start: int) -> tuple[int, int] | None:
    """The next position from which packets follow one another, and the distance between them."""
    position = data.find(SYNC_BYTE, start)
    while position != -1:
        for size in PACKET_SIZES:
            places = range(position, min(position + ENOUGH * size, len(data)), size)
            if all(data[place] == SYNC for place in places):
                return position, size
        position = data.find(SYNC_BYTE, position + 1)
    return None
