"""Whether a packet begins afresh is read from its NAL units, however they are framed."""

import pytest

from stream_app.cutting.h264 import is_idr

SEI, IDR, SLICE = b"\x06\x05\x01", b"\x65\x88\x84", b"\x41\x9a\x24"
AVCC = {size: b"\x01\x64\x00\x1f" + bytes([0xFC | size - 1]) for size in (1, 2, 4)}


def prefixed(size: int, *units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(size) + unit for unit in units)


@pytest.mark.parametrize("size", AVCC)
def test_length_prefixed_units_are_told_apart(size: int) -> None:
    assert is_idr(prefixed(size, SEI, IDR), AVCC[size])
    assert not is_idr(prefixed(size, SEI, SLICE), AVCC[size])


def test_units_after_start_codes_are_told_apart() -> None:
    start = b"\0\0\0\1"
    assert is_idr(start + SEI + b"\0\0\1" + IDR, None)
    assert not is_idr(start + SEI + b"\0\0\1" + SLICE, start + SEI)


@pytest.mark.parametrize("packet", [b"", b"\0\0\0\1", b"\xff\xff\xff\xff\x65", b"\0\0\0\0"])
def test_a_broken_packet_is_no_beginning(packet: bytes) -> None:
    assert not is_idr(packet[:4], AVCC[4])
    assert not is_idr(packet, None)
