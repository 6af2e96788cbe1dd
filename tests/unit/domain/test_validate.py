from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.validate import validate_request
from tests.unit.domain.requests import candidate, line, request
from topics.requests import MixCancel, MixRequest

BAD: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "unknown type": ({"type": "mix-remix"}, {("/type", "not_allowed")}),
    "type of another kind": ({"type": 7}, {("/type", "not_allowed")}),
    "no lines": ({"mix_id": "m1"}, {("/lines", "missing")}),
    "empty lines": ({"lines": []}, {("/lines", "out_of_range")}),
    "lines no list": ({"lines": "la la"}, {("/lines", "wrong_type")}),
    "bad mix_id": (request(mix_id="Not An Id"), {("/mix_id", "bad_format")}),
    "unknown field": (request(fps=30), {("/fps", "unknown_field")}),
    "unknown field of a line": (
        request(line(0, 1000, colour="red")),
        {("/lines/0/colour", "unknown_field")},
    ),
    "escaped path": (request(**{"a/b~c": 1}), {("/a~1b~0c", "unknown_field")}),
    "odd width": (request(profile={"width": 1281}), {("/profile/width", "bad_value")}),
    "height out of range": (request(profile={"height": 8}), {("/profile/height", "out_of_range")}),
    "fps a number": (request(profile={"fps": 30}), {("/profile/fps", "wrong_type")}),
    "fps nonsense": (request(profile={"fps": "30/0"}), {("/profile/fps", "bad_value")}),
    "unknown fit": (request(profile={"fit": "zoom"}), {("/profile/fit", "not_allowed")}),
    "negative time": (request(line(-1, 1000)), {("/lines/0/start_ms", "out_of_range")}),
    "time as text": (request(line("0", 1000)), {("/lines/0/start_ms", "wrong_type")}),  # type: ignore[arg-type]
    "a boolean is no number": (request(priority=True), {("/priority", "wrong_type")}),
    "end before start": (request(line(2000, 1000)), {("/lines/0/end_ms", "end_before_start")}),
    "overlap": (
        request(line(0, 2000), line(1999, 3000)),
        {("/lines/1/start_ms", "overlap")},
    ),
    "not sorted": (
        request(line(5000, 6000), line(0, 1000)),
        {("/lines/1/start_ms", "not_sorted")},
    ),
    "no frame": (request(line(0, 3)), {("/lines/0", "line_too_short")}),
    "same line twice": (
        request(line(0, 1000, line_id="a"), line(1000, 2000, line_id="a")),
        {("/lines/1/line_id", "duplicate_line_id")},
    ),
    "an id that another line has by default": (
        request(line(0, 1000, line_id="2"), line(1000, 2000)),
        {("/lines/1/line_id", "duplicate_line_id")},
    ),
    "candidate without a start": (
        request(line(0, 1000, {"video_id": "v", "uri": "a.mp4"})),
        {("/lines/0/candidates/0/start_ms", "missing")},
    ),
    "candidate with a foreign scheme": (
        request(line(0, 1000, candidate(uri="ftp://x/a.mp4"))),
        {("/lines/0/candidates/0/uri", "bad_uri")},
    ),
    "candidate with an absolute path": (
        request(line(0, 1000, candidate(uri="/etc/passwd"))),
        {("/lines/0/candidates/0/uri", "bad_uri")},
    ),
    "file address of a host": (
        request(line(0, 1000, candidate(uri="file://host/a.mp4"))),
        {("/lines/0/candidates/0/uri", "bad_uri")},
    ),
    "infinite score": (
        request(line(0, 1000, candidate(score=float("inf")))),
        {("/lines/0/candidates/0/score", "out_of_range")},
    ),
    "song without address": (request(song={}), {("/song/uri", "missing")}),
    "revision without line ids": (
        {"type": "mix-revise", "mix_id": "m1", "lines": [line(0, 1000)]},
        {("/lines/0/line_id", "missing")},
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_each_kind_of_fault_is_named_by_its_path(kind: str) -> None:
    body, expected = BAD[kind]
    errors = validate_request(body)
    assert isinstance(errors, tuple)
    assert {(error.path, error.code) for error in errors} == expected
    assert all(error.message for error in errors)


def test_every_fault_of_a_request_is_told_at_once() -> None:
    errors = validate_request(
        request(
            line(0, 2000, candidate(uri="ftp://x/a"), line_id="a", text=7),
            line(1000, 1000, line_id="a"),
            line("x", 2),  # type: ignore[arg-type]
            profile={"width": 15, "fps": "1000"},
            surprise=1,
        )
    )
    assert isinstance(errors, tuple)
    assert {error.path for error in errors} == {
        "/profile/width",
        "/profile/fps",
        "/surprise",
        "/lines/0/text",
        "/lines/0/candidates/0/uri",
        "/lines/1/start_ms",
        "/lines/1/end_ms",
        "/lines/1/line_id",
        "/lines/2/start_ms",
    }


def test_good_requests_pass() -> None:
    assert isinstance(validate_request(request()), MixRequest)
    assert isinstance(validate_request({"type": "mix-cancel", "mix_id": "m1"}), MixCancel)
    assert isinstance(validate_request(request(line(0, 100), mix_id="a" * 64)), MixRequest)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=10,
)


@given(field=st.sampled_from(["lines", "profile", "song", "gaps", "mix_id", "subtitles"]), value=JSON)
def test_nothing_that_json_can_say_breaks_validation(field: str, value: Any) -> None:
    result = validate_request({**request(), field: value})
    assert isinstance(result, tuple | MixRequest)
