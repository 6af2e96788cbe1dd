"""What an MPEG transport stream is made of (ISO/IEC 13818-1): the head of a packet, and the clock."""

import mmap

PACKET = 188
"""Bytes of a packet."""

SYNC = 0x47
"""What each begins with."""

NULL_CHANNEL = 0x1FFF
"""Its packets are filling, and are not counted."""

STARTS = 0x40
"""Bit of the second byte: the payload begins with something new."""

HAS_PAYLOAD, HAS_ADAPTATION = 0x10, 0x20
"""Bits of the fourth byte, whose lower half counts the packets of a channel that have a payload."""

START_CODE = b"\x00\x00\x01"
"""What sound and picture begin with in their first packet."""

CLOCK_HZ = 90_000
CLOCK_WRAP = 1 << 33
"""Times are taken modulo this: 26 and a half hours."""


def channel_of(data: bytearray | mmap.mmap, start: int) -> int:
    """The channel (PID) of the packet at `start`."""
    return (data[start + 1] & 0x1F) << 8 | data[start + 2]
