import json
from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from topics.requests import DAY_MS, MAX_LINES, MixCancel, MixRequest, MixRevise, type_of_request

CONTRACT = """
{"type":"mix-request","mix_id":"demo-1","priority":5,
 "song":{"uri":"media/samples/song.m4a","offset_ms":0},
 "profile":{"width":1280,"height":720,"fps":"30","fit":"crop","quality":"standard"},
 "gaps":{"policy":"extend","max_extend_ms":4000},
 "subtitles":{"burn_in":false,"sidecar":["srt"]},
 "lines":[{"line_id":"1","text":"first line","start_ms":0,"end_ms":3000,
           "candidates":[{"video_id":"v1","uri":"media/samples/a.mp4","start_ms":12000,"end_ms":15000,"score":0.83}]}]}
"""
LEAST = {"lines": [{"start_ms": 0, "end_ms": 3000}]}


def request(body: Any) -> MixRequest:
    return MixRequest.model_validate_json(json.dumps(body))


def places(error: ValidationError, kind: str) -> set[str]:
    """Where errors of a kind are, as JSON Pointers."""
    return {
        "".join(f"/{part}" for part in problem["loc"])
        for problem in error.errors()
        if problem["type"] == kind
    }


def test_the_example_of_the_contract() -> None:
    read = MixRequest.model_validate_json(CONTRACT)
    assert (read.mix_id, read.priority, len(read.lines)) == ("demo-1", 5, 1)
    assert read.song is not None
    assert read.song.uri == "media/samples/song.m4a"
    assert read.lines[0].candidates[0].score == 0.83
    assert read.model_dump(mode="json", exclude_unset=True) == json.loads(CONTRACT)


def test_what_is_left_out_has_the_defaults_of_the_contract() -> None:
    read = request(LEAST)
    whole = request(
        {
            "type": "mix-request",
            "priority": 5,
            "song": None,
            "mix_id": None,
            "profile": {"width": 1280, "height": 720, "fps": "30", "fit": "crop", "quality": "standard"},
            "gaps": {"policy": "extend", "max_extend_ms": 4000},
            "subtitles": {"burn_in": False, "sidecar": []},
            "lines": [{"line_id": None, "text": "", "start_ms": 0, "end_ms": 3000, "candidates": []}],
        }
    )
    assert read == whole


def test_every_unknown_field_is_named_at_every_level() -> None:
    body = json.loads(CONTRACT)
    levels = {
        "": body,
        "/song": body["song"],
        "/profile": body["profile"],
        "/gaps": body["gaps"],
        "/subtitles": body["subtitles"],
        "/lines/0": body["lines"][0],
        "/lines/0/candidates/0": body["lines"][0]["candidates"][0],
    }
    for part in levels.values():
        part["misspelt"] = 1
    with pytest.raises(ValidationError) as caught:
        request(body)
    assert places(caught.value, "extra_forbidden") == {f"{path}/misspelt" for path in levels}


@pytest.mark.parametrize("model", [MixCancel, MixRevise])
def test_unknown_fields_of_the_other_requests_are_named(model: type[MixCancel | MixRevise]) -> None:
    [name] = [name for name, found in type_of_request.items() if found is model]
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(json.dumps({"type": name, "mix_id": "demo-1", "profle": {}, "y": 1}))
    assert places(caught.value, "extra_forbidden") == {"/profle", "/y"}


def test_every_missing_field_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        request({"song": {}, "lines": [{"candidates": [{}]}]})
    assert places(caught.value, "missing") == {
        "/song/uri",
        "/lines/0/start_ms",
        "/lines/0/end_ms",
        "/lines/0/candidates/0/video_id",
        "/lines/0/candidates/0/uri",
        "/lines/0/candidates/0/start_ms",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mix_id", "Demo 1"),
        ("mix_id", ""),
        ("mix_id", 7),
        ("priority", 10),
        ("priority", -1),
        ("priority", 5.0),
        ("priority", "5"),
        ("priority", True),
        ("song/uri", ""),
        ("song/uri", "a\nb"),
        ("song/uri", "a\x00b"),
        ("song/uri", "x" * 4097),
        ("song/offset_ms", DAY_MS + 1),
        ("song/offset_ms", -DAY_MS - 1),
        ("gaps/policy", "none"),
        ("gaps/max_extend_ms", -1),
        ("subtitles/burn_in", "yes"),
        ("subtitles/burn_in", 1),
        ("subtitles/sidecar", ["ass"]),
        ("lines", []),
        ("lines", {}),
        ("lines/0/line_id", ""),
        ("lines/0/line_id", "x" * 65),
        ("lines/0/line_id", 1),
        ("lines/0/start_ms", -1),
        ("lines/0/start_ms", 0.5),
        ("lines/0/start_ms", "0"),
        ("lines/0/end_ms", DAY_MS + 1),
        ("lines/0/text", None),
        ("lines/0/candidates/0/video_id", ""),
        ("lines/0/candidates/0/start_ms", None),
        ("lines/0/candidates/0/score", "good"),
    ],
)
def test_a_wrong_value_is_named(path: str, value: Any) -> None:
    body = json.loads(CONTRACT)
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    part = body
    for step in way:
        part = part[step]
    part[last] = value
    with pytest.raises(ValidationError) as caught:
        request(body)
    where = {"/".join(map(str, problem["loc"])) for problem in caught.value.errors()}
    assert all(place.startswith(path) for place in where), where


def test_infinite_scores_are_refused() -> None:
    with pytest.raises(ValidationError, match="score"):
        MixRequest.model_validate_json(CONTRACT.replace("0.83", "1e999"))


def test_one_bad_line_is_one_error() -> None:
    with pytest.raises(ValidationError) as caught:
        request({"lines": [{"start_ms": "x", "end_ms": 3000}]})
    assert [problem["loc"] for problem in caught.value.errors()] == [("lines", 0, "start_ms")]


def test_no_lines_are_one_error() -> None:
    with pytest.raises(ValidationError, match="at least one line") as caught:
        request({"lines": []})
    assert [(problem["loc"], problem["type"]) for problem in caught.value.errors()] == [
        (("lines",), "too_short")
    ]


def test_ten_thousand_lines_and_no_more() -> None:
    lines = [{"start_ms": n * 10, "end_ms": n * 10 + 10} for n in range(MAX_LINES + 1)]
    assert len(request({"lines": lines[:MAX_LINES]}).lines) == 10_000
    with pytest.raises(ValidationError, match="at most 10000"):
        request({"lines": lines})


def test_requests_are_frozen() -> None:
    read = request(LEAST)
    with pytest.raises(ValidationError, match="frozen"):
        read.priority = 1  # type: ignore[misc]


def test_every_type_reads_as_its_own_model() -> None:
    for name, model in type_of_request.items():
        body = deepcopy(LEAST) if model is MixRequest else {}
        read = model.model_validate_json(json.dumps({"type": name, "mix_id": "demo-1", **body}))
        assert read.type == name
    with pytest.raises(ValidationError, match="type"):
        MixCancel.model_validate_json('{"type":"mix-request","mix_id":"demo-1"}')


def test_a_cancel_or_revise_must_say_what_it_is() -> None:
    for model in (MixCancel, MixRevise):
        with pytest.raises(ValidationError, match="type"):
            model.model_validate_json('{"mix_id":"demo-1"}')
