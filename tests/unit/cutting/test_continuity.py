"""Where a transport stream lost packets."""

from pathlib import Path

import pytest

from stream_app.cutting.continuity import losses

PACKETS = 60


def packet(channel: int, counter: int, size: int, *, flags: int = 0x10) -> bytes:
    head = bytes([0x47, channel >> 8, channel & 0xFF, flags | counter % 16])
    return b"\0" * (4 if size == 192 else 0) + head + b"\xaa" * 184 + b"\0" * (16 if size == 204 else 0)


def stream(size: int = 188) -> list[bytes]:
    """Two channels in turn."""
    return [packet(256 + k % 2, k // 2, size) for k in range(PACKETS)]


def found(path: Path, packets: list[bytes]) -> list[int]:
    path.write_bytes(b"".join(packets))
    return losses(path)


@pytest.mark.parametrize("size", [188, 192, 204])
def test_a_whole_stream_has_none(tmp_path: Path, size: int) -> None:
    assert found(tmp_path / "a.ts", stream(size)) == []


@pytest.mark.parametrize("size", [188, 192])
def test_a_lost_packet_shows_at_the_next_of_its_channel(tmp_path: Path, size: int) -> None:
    packets = stream(size)
    del packets[20]
    assert found(tmp_path / "a.ts", packets) == [21 * size + (4 if size == 192 else 0)]


def test_garbage_shows_where_it_lies(tmp_path: Path) -> None:
    packets = stream()
    packets[20] = b"\0" * 188
    assert 20 * 188 in found(tmp_path / "a.ts", packets)


def test_missing_bytes_show_where_packets_fall_out_of_step(tmp_path: Path) -> None:
    packets = stream()
    packets[20] = packets[20][:100]
    assert found(tmp_path / "a.ts", packets)[0] == 20 * 188 + 100 + 88


def test_a_repeated_packet_and_an_empty_one_are_no_loss(tmp_path: Path) -> None:
    packets = stream()
    packets.insert(20, packets[19])
    packets.insert(30, packet(256, 9, 188, flags=0x20))
    packets.insert(40, packet(0x1FFF, 3, 188))
    assert found(tmp_path / "a.ts", packets) == []


def test_an_empty_file_has_none(tmp_path: Path) -> None:
    assert found(tmp_path / "a.ts", []) == []


def media(counter: int, *, head: bytes) -> bytes:
    """A packet in which something begins."""
    return bytes([0x47, 0x41, 0x00, 0x10 | counter % 16]) + head.ljust(184, b"\xaa")


PES = bytes.fromhex("000001e0")


@pytest.mark.parametrize("wrong", ["000101e0", "000001a0"])
def test_a_frame_whose_head_is_wrong_is_lost(tmp_path: Path, wrong: str) -> None:
    packets = [media(k, head=PES) for k in range(PACKETS)]
    assert found(tmp_path / "a.ts", packets) == []
    packets[20] = media(20, head=bytes.fromhex(wrong))
    assert found(tmp_path / "a.ts", packets) == [20 * 188]


def test_channels_of_tables_begin_as_they_like(tmp_path: Path) -> None:
    assert found(tmp_path / "a.ts", [media(k, head=b"\x00\x02\xb0") for k in range(PACKETS)]) == []
