"""Has a text rendered by the libass of ffmpeg, in the font that is shipped and the system's others.

Where no font has a character, libass draws a box, and calls that a success. So what it complains of is read,
and characters that no font has are left out and told.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ffmpeg
from imageio_ffmpeg import get_ffmpeg_exe

from stream_app.child_process import Ended, TimeLimitError, run_to_end
from stream_app.cutting.lyrics.layout import Layout, text_rows
from stream_app.cutting.lyrics.script import script
from stream_app.cutting.lyrics.still import Still
from stream_app.domain.errors import OwnFaultError
from topics.profile import RenderProfile

FONTS = Path(__file__).parent / "fonts"

RENDER_TIMEOUT_S = 60
"""A line takes 0.04 s of processor time, 10,000 different ideographs 1.1 s."""

MAX_COMPLAINTS = 8 * 2**20
"""Characters read of what libass says: 10,000 glyphs that no font has are 2.6 million."""

TRIES = 6
"""For characters that are missed only when others are left out, and for text wider than its estimate."""

NARROWER = 0.75

CLEAR = "0x101010@0"
"""Limited range's black, transparent: libass draws in that range and blends the edges of letters with it."""

_MISSING = re.compile(r"failed to find any fallback with glyph 0x([0-9A-Fa-f]+)")


@dataclass(frozen=True)
class Rendered:
    """What came of a text.

    Attributes:
        still: its picture; None when there is nothing to see.
        undrawn: the characters left out of it because no font here has them, each once.
    """

    still: Still | None
    undrawn: str = ""


def render_text(text: str, profile: RenderProfile, out: Path) -> Rendered:
    """Render `text` for pictures of `profile`. A text that libass crashes on counts as undrawn, all of it.

    Args:
        text: any text; its own rows are kept.
        profile: the size of the pictures.
        out: a temporary name of ours; scratch files go beside it and are removed.

    Raises:
        OwnFaultError: ffmpeg cannot be started or has no libass, or our disk is full.
    """
    layout = Layout(text_rows(text), profile.width, profile.height)
    still, undrawn = None, ""
    for _ in range(TRIES):
        if not layout.rows:
            return Rendered(None, undrawn)
        tried = _try(layout, out)
        if tried.undrawn:
            undrawn += tried.undrawn
            layout = replace(layout, rows=_without(layout.rows, tried.undrawn))
            continue
        still = tried.still
        if still is None or not still.is_cut_off:
            break
        layout = replace(layout, scale=layout.scale * NARROWER)
    else:
        if still is None:
            undrawn += _distinct(layout.rows)
    return Rendered(still, undrawn)


def _try(layout: Layout, out: Path) -> Rendered:
    """One run of ffmpeg; it gives a still only when no character was missed."""
    subtitles, picture = out.with_suffix(".ass"), out.with_suffix(".ya8")
    try:
        subtitles.write_text(script(layout), encoding="utf-8")
        ended = _run(layout, subtitles, picture)
        if undrawn := _undrawn(layout, ended):
            return Rendered(None, undrawn)
        return Rendered(Still.of_pixels(picture.read_bytes(), layout.width))
    except OSError as error:
        raise OwnFaultError(
            f"lyrics cannot be drawn: {error}; check ffmpeg and the artifacts disk ({out.parent})"
        ) from error
    finally:
        subtitles.unlink(missing_ok=True)
        picture.unlink(missing_ok=True)


def _run(layout: Layout, subtitles: Path, picture: Path) -> Ended | None:
    """The end of ffmpeg; None when it crashed or took far too long."""
    clear = ffmpeg.input(f"color={CLEAR}:s={layout.width}x{layout.height}:r=1,format=ya8", f="lavfi")
    # Texts without spaces, such as Chinese ones, break only by the rules of Unicode.
    options = {"filename": subtitles.absolute(), "fontsdir": FONTS, "alpha": 1, "wrap_unicode": 1}
    drawn = clear.filter("subtitles", **options)
    written = {"frames:v": 1, "f": "rawvideo", "pix_fmt": "ya8"}
    command = [get_ffmpeg_exe(), "-v", "warning", "-nostdin", "-y"]
    arguments = ffmpeg.output(drawn, f"file:{picture}", **written).compile(cmd=command)
    try:
        ended = run_to_end(arguments, timeout_s=RENDER_TIMEOUT_S, stderr_chars=MAX_COMPLAINTS)
    except TimeLimitError:
        return None
    if ended.returncode > 0:
        raise OwnFaultError(
            f"lyrics cannot be drawn: {ended.stderr[-500:]}; it takes an ffmpeg with libass, which "
            f"{command[0]} must be, and space on the artifacts disk"
        )
    return ended if ended.returncode == 0 else None


def _undrawn(layout: Layout, ended: Ended | None) -> str:
    distinct = _distinct(layout.rows)
    if ended is None:
        return distinct
    missing = {chr(int(code, 16)) for code in _MISSING.findall(ended.stderr)}
    return "".join(char for char in distinct if char in missing)


def _distinct(rows: Sequence[str]) -> str:
    return "".join(dict.fromkeys("".join(rows)))


def _without(rows: Sequence[str], undrawn: str) -> tuple[str, ...]:
    return text_rows("\n".join(rows).translate(dict.fromkeys(map(ord, undrawn))))
