"""What an H.264 packet says of itself before it is decoded."""

from collections.abc import Iterator

_LENGTH_SIZE_AT = 4
"""Where the configuration of MP4 and Matroska says how many bytes the length before each unit has."""

_IDR = 5
"""The NAL unit type of a slice of a picture at which a decoder forgets every picture before it."""


def is_idr(packet: bytes, extradata: bytes | None) -> bool:
    """Whether no picture from this packet on refers to one before it.

    Args:
        packet: of a whole access unit, length-prefixed as in MP4 and Matroska or with start codes as in TS.
        extradata: the decoder's configuration, which tells the two apart.
    """
    return _IDR in _types(packet, extradata)


def _types(packet: bytes, extradata: bytes | None) -> Iterator[int]:
    if extradata and extradata[0] == 1 and len(extradata) > _LENGTH_SIZE_AT:
        prefix, at = (extradata[_LENGTH_SIZE_AT] & 3) + 1, 0
        while at + prefix < len(packet):
            yield packet[at + prefix] & 31
            at += prefix + int.from_bytes(packet[at : at + prefix])
    else:
        for unit in packet.split(b"\0\0\1")[1:]:
            if unit:
                yield unit[0] & 31
