"""Makes one transport stream of segments: one clock, and counters that count on.

Players take each segment for itself. A demuxer that gets them in one file takes a clock that starts anew
behind a discontinuity for a jump, which it may or may not straighten, and counters that start anew for
losses, whose surroundings are then refused as damaged. Only headers are touched (ISO/IEC 13818-1, 2.4.3).
"""

from collections.abc import Iterable, Iterator

from stream_app.sources.transport_stream import (
    CLOCK_WRAP,
    HAS_ADAPTATION,
    HAS_PAYLOAD,
    NULL_CHANNEL,
    PACKET,
    START_CODE,
    STARTS,
    SYNC,
    channel_of,
)

_HEADERLESS = frozenset({0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF})
"""Kinds of PES packets that have no time."""

_PCR, _OPCR = 0x10, 0x08
_PTS, _PTS_AND_DTS = 0x80, 0xC0


class Splicer:
    """Joins segments; remembers how each channel's counter stood at the end of the last one."""

    def __init__(self) -> None:
        self._counters: dict[int, int] = {}

    def spliced(self, chunks: Iterable[bytes], shift: int) -> Iterator[bytes]:
        """Yield the next segment, which comes in `chunks` of any size, with `shift` added to its clock.

        Args:
            chunks: the segment.
            shift: in ticks of 1/90000 s.

        Raises:
            ValueError: it is no row of whole packets of 188 bytes, or hides its times.
        """
        counters, offsets = dict(self._counters), dict[int, int]()
        rest = b""
        for chunk in chunks:
            data = bytearray(rest + chunk)
            whole = len(data) // PACKET * PACKET
            rest = bytes(data[whole:])
            del data[whole:]
            for start in range(0, whole, PACKET):
                if data[start] != SYNC:
                    raise ValueError("it is no MPEG transport stream")
                _count_on(data, start, counters, offsets)
                if shift:
                    _shift_packet(data, start, shift)
            yield bytes(data)
        if rest:
            raise ValueError("it ends in the middle of a packet")
        self._counters = counters


def _count_on(data: bytearray, start: int, counters: dict[int, int], offsets: dict[int, int]) -> None:
    channel = channel_of(data, start)
    if channel == NULL_CHANNEL:
        return
    control = data[start + 3]
    if channel not in offsets:
        # Only a packet with payload counts.
        following = counters[channel] + bool(control & HAS_PAYLOAD) if channel in counters else control
        offsets[channel] = following - control
    counter = (control + offsets[channel]) & 0x0F
    data[start + 3] = control & 0xF0 | counter
    counters[channel] = counter


def _shift_packet(data: bytearray, start: int, shift: int) -> None:
    control = data[start + 3]
    payload = start + 4
    if control & HAS_ADAPTATION:
        length = data[payload]
        if length:
            _shift_clock_reference(data, payload + 1, length, shift)
        payload += 1 + length
    end = start + PACKET
    if not (control & HAS_PAYLOAD and data[start + 1] & STARTS):
        return
    if data[payload : payload + 3] != START_CODE or data[payload + 3] in _HEADERLESS:
        return
    if payload + 19 > end:
        raise ValueError("a header of it is spread over packets")
    told = data[payload + 7] & _PTS_AND_DTS
    if told & _PTS:
        _shift_time(data, payload + 9, shift)
    if told == _PTS_AND_DTS:
        _shift_time(data, payload + 14, shift)


def _shift_clock_reference(data: bytearray, flags: int, length: int, shift: int) -> None:
    """The first 33 of a reference's 48 bits count at 90 kHz."""
    place = flags + 1
    for flag in (_PCR, _OPCR):
        if data[flags] & flag and place + 6 <= flags + length:
            value = int.from_bytes(data[place : place + 6], "big")
            base = ((value >> 15) + shift) % CLOCK_WRAP
            data[place : place + 6] = (base << 15 | value & 0x7FFF).to_bytes(6, "big")
            place += 6


def _shift_time(data: bytearray, place: int, shift: int) -> None:
    """33 bits in 5 bytes, in runs of 3, 15 and 15 bits with a marker bit after each."""
    high, middle, low = data[place] >> 1 & 0x07, data[place + 1 : place + 3], data[place + 3 : place + 5]
    value = high << 30 | int.from_bytes(middle, "big") >> 1 << 15 | int.from_bytes(low, "big") >> 1
    value = (value + shift) % CLOCK_WRAP
    data[place] = data[place] & 0xF0 | value >> 29 & 0x0E | 1
    data[place + 1 : place + 3] = (value >> 14 & 0xFFFE | 1).to_bytes(2, "big")
    data[place + 3 : place + 5] = (value << 1 & 0xFFFE | 1).to_bytes(2, "big")
