import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.cutting.lyrics.layout import ZERO_WIDTH_SPACE, Layout, text_rows
from stream_app.cutting.lyrics.script import WORD_JOINER, escaped, script

HOSTILE = [
    "{\\b1}",
    "{\\p1}m 0 0 l 9 0 9 9{\\p0}",
    "\\N",
    "\\n",
    "\\h",
    "\\",
    "{",
    "}",
    "\\{",
    "\\\\}",
    "a,b",
    "[Events]",
]


@pytest.mark.parametrize(
    ("row", "written"),
    [
        ("la la", "la la"),
        ("{yes}", "\\{yes\\}"),
        ("a\\Nb", "a\\\u2060Nb"),
        ("a\\{b", "a\\\u2060\\{b"),
        ("{\\b1}", "\\{\\\u2060b1\\}"),
        ("end\\", "end\\\u2060"),
        ("<i>&amp;</i> 100 %", "<i>&amp;</i> 100 %"),
    ],
)
def test_what_has_a_meaning_is_escaped(row: str, written: str) -> None:
    assert escaped(row) == written


def shown_by_libass(written: str) -> list[str]:
    """The rows that libass shows of a text field, by the rules of its `ass_get_next_char`."""
    rows, rest = [""], written
    while rest:
        if rest[0] == "{":
            rest = rest[rest.index("}") + 1 :] if "}" in rest else rest[1:]
        elif rest[:2] in {"\\N", "\\n"}:
            rows.append("")
            rest = rest[2:]
        elif rest[:2] in {"\\h", "\\{", "\\}"}:
            rows[-1] += "\u00a0" if rest[1] == "h" else rest[1]
            rest = rest[2:]
        else:
            rows[-1] += rest[0]
            rest = rest[1:]
    return rows


@given(parts=st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)), min_size=1, max_size=8))
def test_any_text_is_shown_as_it_is(parts: list[str]) -> None:
    rows = text_rows("".join(parts)) or ("x",)
    *head, event = script(Layout(rows, 1280, 720)).removesuffix("\n").split("\n")
    assert len(head) == 13
    shown = shown_by_libass(event.split(",", 9)[9])
    invisible = re.compile(f"[{WORD_JOINER}{ZERO_WIDTH_SPACE}]")
    assert [invisible.sub("", row) for row in shown] == [invisible.sub("", row) for row in rows]
