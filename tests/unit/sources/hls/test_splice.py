"""Joined transport streams, taken apart again by the standard's own words."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.sources.hls.splice import Splicer
from stream_app.sources.transport_stream import CLOCK_WRAP, PACKET

TIMES = st.integers(0, CLOCK_WRAP - 1)


@dataclass(frozen=True)
class Header:
    """What a packet says."""

    channel: int
    counter: int
    pcr: int | None = None
    pts: int | None = None
    dts: int | None = None
    has_payload: bool = True


def packet(header: Header) -> bytes:
    """ISO/IEC 13818-1: 2.4.3.2 to 2.4.3.7, bit by bit."""
    payload = b""
    if header.pts is not None:
        flags = "10" if header.dts is None else "11"
        times = _time("00" + flags, header.pts) + (
            _time("0001", header.dts) if header.dts is not None else ""
        )
        pes = (
            "0" * 23 + "1" + "11100000" + "0" * 16 + "10000000" + flags + "000000" + f"{len(times) // 8:08b}"
        )
        payload = _bytes(pes + times) + b"picture"
    room = PACKET - 4 - len(payload)
    adaptation = b""
    if header.pcr is not None or not header.has_payload or payload:
        told = (
            _bytes("00010000" + f"{header.pcr:033b}" + "111111" + f"{123:09b}")
            if header.pcr is not None
            else b"\0"
        )
        adaptation = bytes([room - 1]) + told.ljust(room - 1, b"\xff")
    control = f"{bool(adaptation):01b}{header.has_payload:01b}"
    head = f"01000111 0{bool(payload):01b}0{header.channel:013b}00{control}{header.counter:04b}".replace(
        " ", ""
    )
    return (_bytes(head) + adaptation + payload).ljust(PACKET, b"\xaa")


def _time(prefix: str, value: int) -> str:
    bits = f"{value:033b}"
    return f"{prefix}{bits[:3]}1{bits[3:18]}1{bits[18:]}1"


def _bytes(bits: str) -> bytes:
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def headers(last: int) -> st.SearchStrategy[list[Header]]:
    channels = st.integers(0, last)
    one = st.builds(
        Header,
        channel=channels,
        counter=st.integers(0, 15),
        pcr=st.none() | TIMES,
        pts=st.none() | TIMES,
    ) | st.builds(Header, channel=channels, counter=st.integers(0, 15), pts=TIMES, dts=TIMES)
    return st.lists(one, min_size=1, max_size=12)


def moved(header: Header, shift: int) -> Header:
    times = {name: getattr(header, name) for name in ("pcr", "pts", "dts")}
    return Header(
        header.channel,
        header.counter,
        **{name: None if time is None else (time + shift) % CLOCK_WRAP for name, time in times.items()},
        has_payload=header.has_payload,
    )


@given(headers(100), st.integers(-CLOCK_WRAP, CLOCK_WRAP), st.integers(1, 500))
def test_all_times_move_and_nothing_else(stream: list[Header], shift: int, cut: int) -> None:
    data = b"".join(packet(header) for header in stream)
    chunks = [data[start : start + cut] for start in range(0, len(data), cut)]
    out = b"".join(Splicer().spliced(chunks, shift))
    assert out == b"".join(packet(moved(header, shift)) for header in stream)


@given(st.integers(0, 15), st.integers(0, 15), st.lists(st.booleans(), min_size=1, max_size=40))
def test_counters_count_on(first: int, second: int, payloads: list[bool]) -> None:
    """In each channel by one for a packet with payload, over the border of segments, too."""
    splicer = Splicer()
    out = b""
    for start in (first, second):
        counter, segment = start, b""
        for number, has_payload in enumerate(payloads):
            counter += has_payload and number > 0
            segment += packet(Header(256, counter % 16, None, has_payload=has_payload))
            segment += packet(Header(0x1FFF, 5))
        out += b"".join(splicer.spliced([segment], 0))
    seen = [(out[at + 3] & 0x0F, bool(out[at + 3] & 0x10)) for at in range(0, len(out), 2 * PACKET)]
    assert seen[0][0] == first
    for (before, _), (after, has_payload) in pairwise(seen):
        assert after == (before + has_payload) % 16


def test_a_loss_within_a_segment_still_shows() -> None:
    splicer = Splicer()
    list(splicer.spliced([packet(Header(256, 3))], 0))
    out = b"".join(splicer.spliced([packet(Header(256, 9)) + packet(Header(256, 12))], 0))
    assert (out[3] & 0x0F, out[PACKET + 3] & 0x0F) == (4, 7)


@pytest.mark.parametrize(
    "data", [b"<html>", packet(Header(256, 0))[:100], packet(Header(256, 0)) + b"G" * 90]
)
def test_what_is_no_transport_stream_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"transport stream|in the middle of a packet"):
        list(Splicer().spliced([data], 0))
    with pytest.raises(ValueError, match="transport stream"):
        list(Splicer().spliced([b"<" * PACKET], 0))


def test_a_failed_segment_changes_no_counter() -> None:
    splicer = Splicer()
    list(splicer.spliced([packet(Header(256, 3))], 0))
    with pytest.raises(ValueError, match="transport stream"):
        list(splicer.spliced([packet(Header(256, 0)), b"?" * PACKET], 0))
    assert b"".join(splicer.spliced([packet(Header(256, 0))], 0))[3] & 0x0F == 4
