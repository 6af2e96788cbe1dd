"""Where a Matroska file does not add up."""

from pathlib import Path
from random import Random

import pytest

from stream_app.cutting.matroska import losses, unsound

EBML, SEGMENT, CLUSTER, TIME, BLOCK, CUES = (
    bytes.fromhex(name) for name in ("1A45DFA3", "18538067", "1F43B675", "E7", "A3", "1C53BB6B")
)
UNKNOWN = b"\xff"
BLOCKS = 10
"""Of each of the two clusters."""


def element(name: bytes, content: bytes, length: bytes | None = None) -> bytes:
    return name + ((len(content) | 0x4000).to_bytes(2, "big") if length is None else length) + content


def file(length: bytes | None = None) -> tuple[bytes, list[int], int]:
    """The file, where its blocks begin, and where its second cluster does; `length` is said of clusters."""
    chance = Random(1)  # noqa: S311 - what is in a picture
    data, starts, second = element(EBML, b"head") + SEGMENT + UNKNOWN, [], 0
    for number in range(2):
        second = len(data)
        content = element(TIME, bytes([number]))
        for _ in range(BLOCKS):
            starts.append(len(data) + len(element(CLUSTER, b"", length)) + len(content))
            content += element(BLOCK, chance.randbytes(100))
        data += element(CLUSTER, content, length)
    return data + element(CUES, b"cues"), starts, second


def found(path: Path, data: bytes) -> list[tuple[int, int]]:
    path.write_bytes(data)
    return unsound(path)


@pytest.mark.parametrize("length", [None, UNKNOWN])
def test_a_whole_file_adds_up(tmp_path: Path, length: bytes | None) -> None:
    data, _, _ = file(length)
    assert found(tmp_path / "a.mkv", data) == []


def test_an_empty_file_has_nothing_to_add_up(tmp_path: Path) -> None:
    assert found(tmp_path / "a.mkv", b"") == []


@pytest.mark.parametrize("length", [None, UNKNOWN])
@pytest.mark.parametrize("missing", [1, 40, 250])
def test_missing_bytes_are_doubted_up_to_the_next_cluster(
    tmp_path: Path, length: bytes | None, missing: int
) -> None:
    data, starts, second = file(length)
    at = starts[3] + 50
    ((start, stop),) = found(tmp_path / "a.mkv", data[:at] + data[at + missing :])
    assert starts[0] < start <= starts[3]
    assert stop == second - missing


def test_zeros_over_the_head_of_a_block_are_doubted(tmp_path: Path) -> None:
    data, starts, second = file()
    ((start, stop),) = found(tmp_path / "a.mkv", data[: starts[5]] + bytes(60) + data[starts[5] + 60 :])
    assert starts[0] < start <= starts[5]
    assert stop == second


def test_a_file_that_ends_in_a_block_is_doubted_at_its_end(tmp_path: Path) -> None:
    data, starts, _ = file()
    cut = starts[-1] + 50
    ((start, stop),) = found(tmp_path / "a.mkv", data[:cut])
    assert starts[-BLOCKS] < start <= starts[-1]
    assert stop == cut


def test_packets_of_a_doubtful_span_and_the_one_after_it_are_lost(tmp_path: Path) -> None:
    data, starts, _ = file()
    path = tmp_path / "a.mkv"
    path.write_bytes(data)
    assert losses(path, starts) == []
    path.write_bytes(data[: starts[5]] + bytes(60) + data[starts[5] + 60 :])
    numbers = losses(path, starts)
    assert numbers == list(range(numbers[0], BLOCKS + 1))
    assert 0 < numbers[0] <= 5
