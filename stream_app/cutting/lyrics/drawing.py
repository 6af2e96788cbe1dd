"""What decides how a text looks, apart from the text: a clip is recalled only while all of it is the same."""

import os
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

DRAWING_VERSION = 1
"""Raise it whenever the same text would look different: another style, layout or font that is shipped."""

SYSTEM_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
"""Where fontconfig looks by default."""


def drawing_facts() -> list[object]:
    """Version of our drawing, the ffmpeg that draws, and the folders of fonts with their times of change."""
    return [DRAWING_VERSION, Path(get_ffmpeg_exe()).name, _font_folders()]


def _font_folders() -> list[tuple[str, int]]:
    """A folder's time changes when a font is put into it or taken away; files are not looked at."""
    places = [Path(place).expanduser() for place in SYSTEM_FONTS]
    folders = sorted(folder for place in places for folder, _, _ in os.walk(place))
    return [(folder, _changed_at(Path(folder))) for folder in folders]


def _changed_at(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
