"""Lyrics beside the video, as SubRip (`srt`) or WebVTT (`vtt`).

Times are the lines' own milliseconds, as the request gave them on the picture's clock, not the frame grid:
a subtitle need not wait for a frame, and the text is in time with the song to the millisecond.
"""

from collections.abc import Sequence
from html import escape

from stream_app.assembly.order import Lyric, Sidecar


def subtitles(lyrics: Sequence[Lyric], kind: Sidecar) -> str:
    """The text of a subtitle file; lines without text give no cue."""
    sung = [lyric for lyric in lyrics if lyric.text.strip()]
    if kind == "srt":
        return "".join(
            f"{number}\n{_span(lyric, ',')}\n{_rows(lyric.text)}\n\n"
            for number, lyric in enumerate(sung, start=1)
        )
    # In WebVTT `<` begins a tag and `-->` a cue; SubRip knows no way to escape anything.
    cues = "".join(f"{_span(lyric, '.')}\n{escape(_rows(lyric.text), quote=False)}\n\n" for lyric in sung)
    return f"WEBVTT\n\n{cues}"


def _rows(text: str) -> str:
    """The text's own rows; an empty one would end the cue."""
    return "\n".join(row.strip() for row in text.splitlines() if row.strip())


def _span(lyric: Lyric, point: str) -> str:
    return f"{_clock(lyric.start_ms, point)} --> {_clock(lyric.end_ms, point)}"


def _clock(ms: int, point: str) -> str:
    seconds, thousandths = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{thousandths:03}"
