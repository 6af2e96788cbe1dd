"""Finding the index of an mp4 without reading it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.sources.mp4_boxes import MAX_INDEX_BYTES, Box, box_at, find_index
from stream_app.sources.source_file import ByteSpan


def box(kind: bytes, length: int = 0, *, wide: bool = False) -> bytes:
    if wide:
        return struct.pack(">I4sQ", 1, kind, length + 16) + bytes(length)
    return struct.pack(">I4s", length + 8, kind) + bytes(length)


class File:
    def __init__(self, content: bytes, size: int | None = None) -> None:
        self.content, self.size, self.asked = content, size or len(content), 0

    async def read(self, span: ByteSpan) -> bytes:
        self.asked += 1
        assert span[1] - span[0] <= 16
        assert span[1] <= self.size
        return self.content[span[0] : span[1]]

    async def index(self) -> ByteSpan | None:
        return await find_index(self.read, self.size)


FTYP, MOOV, MDAT = box(b"ftyp", 16), box(b"moov", 300), box(b"mdat", 5000)


@pytest.mark.parametrize(
    ("boxes", "start"),
    [
        ([FTYP, MOOV, MDAT], 24),
        ([FTYP, MDAT, MOOV], 24 + 5008),
        ([FTYP, box(b"free"), box(b"mdat", 5000, wide=True), MOOV, box(b"udta", 9)], 24 + 8 + 5016),
        ([MDAT, MOOV], 5008),
        ([FTYP, MOOV, struct.pack(">I4s", 0, b"mdat") + bytes(900)], 24),
        ([FTYP, MOOV, MDAT, bytes(900)], 24),
    ],
    ids=["front", "end", "64 bits", "old mov", "open end", "zeros after"],
)
async def test_the_index_is_found_at_either_end(boxes: list[bytes], start: int) -> None:
    assert await File(b"".join(boxes)).index() == (start, start + 308)


@pytest.mark.parametrize(
    "boxes",
    [
        [FTYP, MOOV, box(b"moof", 50), MDAT],
        [FTYP, MOOV, MDAT, box(b"moof", 50), MDAT],
        [FTYP, MOOV, box(b"sidx", 50), box(b"moof", 50), MDAT],
        [FTYP, MDAT],
        [FTYP, MOOV, MDAT[:-1]],
        [FTYP, MOOV, MOOV, MDAT],
        [FTYP, MOOV, struct.pack(">I4s", 7, b"mdat"), bytes(50)],
        [FTYP, MOOV, struct.pack(">I4sQ", 1, b"mdat", 2**63), bytes(50)],
        [b"\x1aE\xdf\xa3" + bytes(900)],
        [b"<html><body>" + bytes(900)],
        [struct.pack(">I4s", 200, b"junk") + bytes(192), MOOV],
        [b"1234"],
    ],
    ids=[
        "fragmented",
        "fragments after the first",
        "indexed fragments",
        "no index",
        "truncated",
        "two indexes",
        "length 7",
        "length of 63 bits",
        "matroska",
        "a page",
        "another box format",
        "four bytes",
    ],
)
async def test_what_has_no_single_index_has_none(boxes: list[bytes]) -> None:
    assert await File(b"".join(boxes)).index() is None


async def test_an_endless_row_of_boxes_is_given_up() -> None:
    file = File(FTYP + box(b"free") * 5000 + MOOV)
    assert await file.index() is None
    assert file.asked < 100


async def test_an_index_without_measure_is_none() -> None:
    length = MAX_INDEX_BYTES + 1
    head = FTYP + struct.pack(">I4s", length, b"moov")
    assert await File(head, size=24 + length).index() is None


@given(st.binary(max_size=400))
async def test_any_bytes_have_an_answer(content: bytes) -> None:
    file = File(FTYP + content)
    index = await file.index()
    assert index is None or file.content[index[0] + 4 : index[0] + 8] == b"moov"


@given(st.binary(max_size=16), st.integers(0, 2**62), st.integers(0, 2**62))
def test_a_box_is_never_outside_of_its_file(head: bytes, start: int, size: int) -> None:
    found = box_at(head, start, size)
    assert found is None or start + 8 <= found.stop <= size


def test_a_box_is_read_with_its_head() -> None:
    assert box_at(box(b"free", 4), 100, 200) == Box(b"free", 100, 112)
