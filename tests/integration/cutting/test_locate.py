"""Of a file that is not all there, exactly the bytes that a cut reads are asked for."""

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from stream_app.cutting.cut import cut_clip
from stream_app.cutting.decode import AbsentBytesError
from stream_app.cutting.locate import locate, measure
from stream_app.cutting.orders import CutOrder
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import ByteSpan, Need, SourceFile
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

RATE = Fraction(30)
INDEXED = ["h264-mp4", "60-fps", "open-gop", "hevc", "av1", "interlaced", "late-video-mp4", "variable-rate"]


def boxes(path: Path) -> Iterator[tuple[bytes, ByteSpan]]:
    data = path.read_bytes()
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], (at, at + size)
        at += size


def partly(path: Path, folder: Path, spans: list[ByteSpan]) -> SourceFile:
    """A file of the same size, of which only `spans` are there."""
    part = folder / "partly.mp4"
    with path.open("rb") as whole, part.open("wb") as out:
        out.truncate(path.stat().st_size)
        for start, stop in spans:
            whole.seek(start)
            out.seek(start)
            out.write(whole.read(stop - start))
    return SourceFile(part, identity=f"partly {path.name} {len(spans)}", present=tuple(sorted(spans)))


def index_only(path: Path, folder: Path) -> SourceFile:
    """All but the media; of those, the header that says how long they are."""
    spans = [(start, start + 16 if name == b"mdat" else stop) for name, (start, stop) in boxes(path)]
    return partly(path, folder, spans)


@pytest.mark.parametrize("name", INDEXED)
@pytest.mark.parametrize("start_ms", [0, 1400, 2900])
def test_what_is_located_is_enough_for_the_cut(
    footage: Any, small: RenderProfile, name: str, start_ms: int, tmp_path: Path
) -> None:
    source = footage.source(name)
    skeleton = index_only(source.path, tmp_path)
    spans = locate(skeleton, Need(start_ms, 20, 5, RATE))
    assert spans is not None
    part = partly(source.path, tmp_path, [*skeleton.present, *spans])
    cut = cut_clip(CutOrder(part, start_ms, 20, 5, small), tmp_path / "part.mp4")
    whole = cut_clip(CutOrder(SourceFile(source.path), start_ms, 20, 5, small), tmp_path / "whole.mp4")
    assert cut == whole
    assert (tmp_path / "part.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_far_less_than_the_file_is_located(footage: Any, tmp_path: Path) -> None:
    path = footage.make(footage.Kind(frames=600, options={"g": "30"}), tmp_path / "long.mp4").path
    spans = locate(index_only(path, tmp_path), Need(10_000, 30, 0, RATE))
    assert spans is not None
    assert sum(stop - start for start, stop in spans) < path.stat().st_size / 4


def test_what_was_not_fetched_is_never_decoded(footage: Any, small: RenderProfile, tmp_path: Path) -> None:
    source = footage.source("h264-mp4")
    skeleton = index_only(source.path, tmp_path)
    with pytest.raises(AbsentBytesError):
        # Own frames and extension alike: what is absent here is not absent from the source.
        cut_clip(CutOrder(skeleton, 1000, 1, 20, small), tmp_path / "clip.mp4")
    assert not (tmp_path / "clip.mp4").exists()
    spans = locate(skeleton, Need(1000, 10, 0, RATE))
    assert spans is not None
    part = partly(source.path, tmp_path, [*skeleton.present, *spans])
    with pytest.raises(AbsentBytesError):
        cut_clip(CutOrder(part, 1000, 10, 60, small), tmp_path / "clip.mp4")


def test_an_index_that_is_spread_over_the_file_tells_nothing(footage: Any, tmp_path: Path) -> None:
    path = footage.source("fragmented").path
    head = [span for name, span in boxes(path) if name in (b"ftyp", b"moov")]
    assert locate(partly(path, tmp_path, head), Need(0, 5, 0, RATE)) is None


def test_a_source_too_short_is_told_before_its_media_are_fetched(footage: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        locate(index_only(footage.source("h264-mp4").path, tmp_path), Need(60_000, 5, 0, RATE))
    assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT


def test_a_part_of_a_source_is_cut_on_the_clock_of_the_whole(
    footage: Any, small: RenderProfile, tmp_path: Path
) -> None:
    path = footage.source("ts").path
    part = SourceFile(path, identity="part", starts_at=Fraction(90_001, 90_000) * 10)
    cut = cut_clip(CutOrder(part, 11_000, 20, 0, small), tmp_path / "clip.mp4")
    assert footage.read(tmp_path / "clip.mp4") == list(range(30, 50))
    assert (cut.first_source_ms, cut.last_source_ms) == (11_000, 11_633)
    with pytest.raises(SourceError) as caught:
        cut_clip(CutOrder(part, 9_000, 20, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT


def test_a_stream_is_measured_on_its_own_clock(footage: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    shutil.copy(footage.source("h264-mp4").path, copy)
    times = measure(SourceFile(copy))
    assert times.first * times.time_base == 0
    assert times.end * times.time_base == 5
