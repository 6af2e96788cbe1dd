"""Sources with holes, garbage and missing ends: hundreds of them, and never a wrong frame, crash or hang.

Each kind of source is damaged by 64 seeds and cut in four places: some 3,600 cuts, 20 seconds of two cores.
What came out wrong in runs with other seeds is tried again for ever.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_app.clip.verify import verify_clip
from stream_app.cutting.cut import cut_clip
from stream_app.cutting.orders import CutOrder
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

SEEDS = range(64)
"""For each of the kinds below. Those of `ONCE_WRONG` come on top."""

FRAMES = 20
STARTS_MS = (0, 700, 2000, 4300)
TIME_LIMIT_S = 30
OF_THE_SOURCE = {
    FallbackReason.CUT_FAILED.value,
    FallbackReason.SOURCE_INVALID.value,
    FallbackReason.SOURCE_TOO_SHORT.value,
}

Chance = np.random.Generator
Damage = Callable[[bytes, int, int, Chance], bytes]


def flipped(data: bytes, at: int, size: int, chance: Chance) -> bytes:
    """A few single bits."""
    piece = bytearray(data[at : at + size])
    for _ in range(1 + size // 64):
        piece[int(chance.integers(len(piece)))] ^= 1 << int(chance.integers(8))
    return data[:at] + bytes(piece) + data[at + size :]


def garbled(data: bytes, at: int, size: int, chance: Chance) -> bytes:
    return data[:at] + chance.bytes(size) + data[at + size :]


def zeroed(data: bytes, at: int, size: int, _: Chance) -> bytes:
    return data[:at] + bytes(size) + data[at + size :]


def cut_off(data: bytes, at: int, *_: object) -> bytes:
    return data[:at]


def missing(data: bytes, at: int, size: int, _: Chance) -> bytes:
    return data[:at] + data[at + size :]


def doubled(data: bytes, at: int, size: int, _: Chance) -> bytes:
    return data[: at + size] + data[at:]


LOSSES = [zeroed, cut_off, missing]
ALL = [*LOSSES, doubled, flipped, garbled]
# One source of HEVC in a hundred with a few wrong bits decodes to other pictures without a word.
WITHOUT_FLIPS = [damage for damage in ALL if damage is not flipped]
DAMAGES: dict[str, list[Damage]] = {
    "faststart": ALL,
    "h264-mp4": ALL,
    "29.97-mkv": ALL,
    "open-gop-mkv": ALL,
    "hevc-faststart": WITHOUT_FLIPS,
    "fragmented": ALL,
    # A stretch of a transport stream twice is a clock that jumps back, and is rightly shown twice.
    "ts": [*LOSSES, flipped, garbled],
    "ts-hevc": [*LOSSES, garbled],
    "ts-mpeg2": LOSSES,
    "mpeg2-ps": LOSSES,
    "avi": LOSSES,
    # VP8, VP9 and WMV have no way to tell garbage from a picture.
    "vp9-webm": [zeroed, cut_off, missing],
    "vp8-hidden-frames": [zeroed, cut_off, missing],
    "wmv": [zeroed, cut_off],
}
ONCE_WRONG = {
    "faststart": (10024, 20357, 30070),
    "fragmented": (30066, 30190),
    "29.97-mkv": (20120,),
    "avi": (40050,),
    "ts": (10033, 20198, 20213, 20378, 20428, 20448, 20458, 20493, 50083),
    "vp8-hidden-frames": (20021, 20150, 20363),
}
SIZES = (188, 600, 188 * 20)


def corrupted(data: bytes, name: str, seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    damage = DAMAGES[name][seed % len(DAMAGES[name])]
    size = int(chance.choice(SIZES))
    return damage(data, int(chance.integers(len(data) // 50, len(data) - size)), size, chance)


@pytest.fixture(scope="module")
def cutters() -> Iterator[ProcessPoolExecutor]:
    """Processes of their own: a crash breaks them for all to see, and a hang leaves its time limit."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        yield pool


def cut(path: Path, start_ms: int, profile: RenderProfile, out: Path) -> str | None:
    """Cut and verify; the reason when the source was refused."""
    try:
        cut_clip(CutOrder(SourceFile(path), start_ms, FRAMES, 0, profile), out)
        verify_clip(out, profile, FRAMES)
    except SourceError as error:
        return error.reason.value
    return None


@pytest.mark.parametrize("name", DAMAGES)
def test_it_is_refused_or_right(
    footage: Any, cutters: ProcessPoolExecutor, small: RenderProfile, name: str, tmp_path: Path
) -> None:
    source = footage.source(name)
    data = source.path.read_bytes()
    cuts: dict[Path, tuple[int, Future[str | None]]] = {}
    for seed in (*SEEDS, *ONCE_WRONG.get(name, ())):
        path = tmp_path / f"{seed}{source.path.suffix}"
        path.write_bytes(corrupted(data, name, seed))
        for start_ms in STARTS_MS:
            out = tmp_path / f"{seed}-{start_ms}.mp4"
            cuts[out] = start_ms, cutters.submit(cut, path, start_ms, small, out)
    wrong: dict[str, object] = {}
    right = 0
    for out, (start_ms, end) in cuts.items():
        refusal = end.result(timeout=TIME_LIMIT_S)
        if refusal is not None:
            assert refusal in OF_THE_SOURCE
        elif footage.fair(source, shown := footage.read(out), start_ms, small.rate):
            right += 1
        else:
            wrong[out.name] = shown
    assert wrong == {}
    # Whoever refuses everything is never wrong.
    assert right > 0
