"""What decides how a text looks, apart from the text: a clip is recalled only while all of it is the same."""

import os
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

DRAWING_VERSION = 1
"""Raise it whenever the same text would look different: another style, layout or font that is shipped."""

SYSTEM_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
"""Where fontconfig looks by default."""

_seen: dict[str, int] = {}
"""Each folder of fonts and when it was changed, as of the last walk."""


def drawing_facts() -> list[object]:
    """Version of our drawing, the ffmpeg that draws, and the folders of fonts with their times of change."""
    return [DRAWING_VERSION, Path(get_ffmpeg_exe()).name, _font_folders()]


def _font_folders() -> list[tuple[str, int]]:
    """A folder's time changes when a font is put into it or taken away; files are not looked at.

    Nor is anything walked through again while no folder has changed: a desktop has thousands of fonts.
    """
    if not _seen or any(_changed_at(folder) != changed_at for folder, changed_at in _seen.items()):
        places = [str(Path(place).expanduser()) for place in SYSTEM_FONTS]
        walked = {folder for place in places for folder, _, _ in os.walk(place)}
        _seen.clear()
        _seen.update((folder, _changed_at(folder)) for folder in sorted({*places, *walked}))
    return [(folder, changed_at) for folder, changed_at in _seen.items() if changed_at]


def _changed_at(folder: str) -> int:
    """In ns; 0 when it is not there."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0
