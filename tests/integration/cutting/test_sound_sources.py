"""Sources that are odd, but not damaged: no frame of theirs is refused."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from stream_app.cutting.rebase import index_to_cut
from stream_app.sources.source_file import SourceFile


def damage(path: Path) -> object:
    index = index_to_cut(SourceFile(path), path.with_name("copy.mp4"), timeout_s=60)
    return index.damage.spans


@pytest.mark.parametrize("name", ["h264-mp4", "open-gop", "deep-b-pyramid", "hevc", "fragmented", "cmaf"])
@pytest.mark.parametrize("start_s", [0, 1.3, 2.9])
def test_a_piece_that_was_cut_out_without_encoding(
    footage: Any, tmp_path: Path, name: str, start_s: float
) -> None:
    piece = tmp_path / "piece.mp4"
    footage.ffmpeg("-ss", start_s, "-i", footage.source(name).path, "-t", 1.5, "-c", "copy", piece)
    assert damage(piece) == ()


@pytest.mark.parametrize(
    "into", [["-f", "mpegts"], ["-f", "matroska"], ["-f", "mp4"], ["-f", "mp4", "-movflags", "frag_keyframe"]]
)
def test_frames_that_a_recorder_left_out(footage: Any, tmp_path: Path, into: list[str]) -> None:
    times = [Fraction(number, 30) for number in range(150) if number % 30 != 7]
    made = footage.make(footage.Kind(times=times), tmp_path / "made.mp4")
    footage.ffmpeg("-i", made.path, "-c", "copy", *into, tmp_path / "left-out")
    assert damage(tmp_path / "left-out") == ()
