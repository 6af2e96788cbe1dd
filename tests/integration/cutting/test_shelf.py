"""Indexes that cutting processes leave for one another."""

from pathlib import Path
from typing import Any

import pytest

from stream_app.clip.store import INDEX_PREFIX
from stream_app.cutting import index, shelf
from stream_app.cutting.rebase import index_to_cut
from stream_app.domain.errors import OwnFaultError
from stream_app.sources.source_file import SourceFile


def forget() -> None:
    """Be another process, which remembers nothing."""
    shelf.recent_index.cache_clear()
    index.read_index.cache_clear()


def test_what_another_process_left_is_what_reading_gives(
    footage: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = SourceFile(footage.source(kind).path), tmp_path / "clip.mp4"
    forget()
    read = index_to_cut(source, out, timeout_s=60)
    forget()
    monkeypatch.setattr(shelf, "read_index", lambda *_: pytest.fail("it is read again"))
    assert index_to_cut(source, out, timeout_s=60) == read


@pytest.mark.parametrize("left", [b"", b'{"path": "x"', bytes(4000)])
def test_what_a_crash_left_is_read_again(footage: Any, tmp_path: Path, left: bytes) -> None:
    source, out = SourceFile(footage.source("h264-mp4").path), tmp_path / "clip.mp4"
    forget()
    read = index_to_cut(source, out, timeout_s=60)
    (place,) = tmp_path.glob(f"{INDEX_PREFIX}*")
    whole = place.read_bytes()
    place.write_bytes(left)
    forget()
    assert index_to_cut(source, out, timeout_s=60) == read
    assert place.read_bytes() == whole, "and mended for the next one"


def test_a_changed_file_has_another_index(footage: Any, tmp_path: Path) -> None:
    file = tmp_path / "source.mp4"
    file.write_bytes(footage.source("h264-mp4").path.read_bytes())
    before = index_to_cut(SourceFile(file), tmp_path / "clip.mp4", timeout_s=60)
    file.write_bytes(footage.source("25-fps").path.read_bytes())
    after = index_to_cut(SourceFile(file), tmp_path / "clip.mp4", timeout_s=60)
    assert before.clock != after.clock


def test_a_folder_that_cannot_be_written_is_our_own_fault(footage: Any, tmp_path: Path) -> None:
    forget()
    with pytest.raises(OwnFaultError, match="cannot write"):
        index_to_cut(SourceFile(footage.source("h264-mp4").path), tmp_path / "gone" / "clip.mp4", 60)
