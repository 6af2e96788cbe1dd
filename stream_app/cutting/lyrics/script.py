"""The subtitle file that libass reads: our own style around a text that can be nothing but text."""

from stream_app.cutting.lyrics.layout import Layout

FAMILY = "DejaVu Sans"
"""The font that is shipped beside this file; characters it lacks come from the system's fonts."""

OUTLINE = 1 / 14
"""Width of the black line around the letters, in rows: it is what keeps them readable on any picture."""

WORD_JOINER = "\u2060"
"""Without width and without a meaning: what follows a backslash is then no command."""

_ESCAPES = str.maketrans({"\\": f"\\{WORD_JOINER}", "{": "\\{", "}": "\\}"})

_SCRIPT = """\
[Script Info]
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
WrapStyle: 0
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, BorderStyle, Outline, Shadow, Alignment, \
MarginL, MarginR, MarginV, Encoding
Style: Lyric,{family},{size:.2f},&H00FFFFFF,&H00000000,1,{outline:.2f},0,2,{side},{side},{bottom},-1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.00,1:00:00.00,Lyric,,0,0,0,,{text}
"""
# Alignment 2 is bottom centre; encoding -1 has each row run in the direction of its first letter.


def escaped(row: str) -> str:
    r"""A row of text as ASS writes it: `{` would begin commands, `\N` a row, `\h` a space."""
    return row.translate(_ESCAPES)


def script(layout: Layout) -> str:
    """The whole subtitle file of a text that is shown at once."""
    return _SCRIPT.format(
        width=layout.width,
        height=layout.height,
        family=FAMILY,
        size=layout.size,
        outline=layout.size * OUTLINE,
        side=layout.side_margin,
        bottom=layout.bottom_margin,
        text="\\N".join(map(escaped, layout.breakable_rows())),
    )
