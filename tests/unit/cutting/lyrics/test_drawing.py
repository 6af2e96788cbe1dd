"""The facts that decide how a text looks."""

import os
from pathlib import Path

import pytest

from stream_app.cutting.lyrics import drawing
from stream_app.cutting.lyrics.drawing import drawing_facts


@pytest.fixture
def fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fonts are looked for, and nowhere else; it is not there yet."""
    monkeypatch.setattr(drawing, "SYSTEM_FONTS", (str(tmp_path / "fonts"),))
    monkeypatch.setattr(drawing, "_seen", {})
    return tmp_path / "fonts"


def put(path: Path, second: int) -> None:
    """A font in its folder, at that second: file systems tell times of one moment apart by luck."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path.parent, (second, second))


def test_a_font_that_comes_or_goes_changes_them(fonts: Path) -> None:
    told = [drawing_facts()]
    put(fonts / "a.ttf", 1)
    told.append(drawing_facts())
    put(fonts / "deep" / "b.ttf", 2)
    os.utime(fonts, (2, 2))
    told.append(drawing_facts())
    put(fonts / "deep" / "c.ttf", 3)
    told.append(drawing_facts())
    (fonts / "deep" / "c.ttf").unlink()
    told.append(drawing_facts())
    assert len({str(facts) for facts in told}) == len(told)


def test_folders_are_walked_through_once_while_nothing_changes(
    fonts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(fonts / "deep" / "a.ttf", 1)
    before = drawing_facts()
    monkeypatch.setattr(os, "walk", lambda place: pytest.fail(f"walked through {place} again"))
    assert drawing_facts() == before
