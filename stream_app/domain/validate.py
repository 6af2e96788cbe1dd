"""Validate a request: every error at once, each with the path of the field it is about.

The shape is pydantic's to judge; what no single field can tell (order, overlap, frames) is judged here, on
whatever lines are well-formed, so that one bad line does not hide the faults of the others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from stream_app.domain.frames import frame_at
from topics.events import FieldError
from topics.profile import RenderProfile
from topics.requests import Line, MixCancel, MixRequest, MixRevise, type_of_request

Command = MixRequest | MixCancel | MixRevise
ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_ERRORS = 1000
"""Errors in one `mix-rejected`: enough for any person, and it keeps the event a readable size."""

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):")
_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "string_pattern_mismatch": "bad_format",
    "value_error": "bad_value",
    "literal_error": "not_allowed",
}
_RANGE = ("greater_than", "less_than", "too_long", "too_short", "finite_number")


def validate_request(body: Mapping[str, Any]) -> Command | tuple[FieldError, ...]:
    """The command in `body`, or everything that is wrong with it: faults of shape first, then of sense."""
    kind = body.get("type", "mix-request")
    model = type_of_request.get(kind) if isinstance(kind, str) else None
    if model is None:
        return (
            FieldError(
                path="/type", code="not_allowed", message=f"must be one of {', '.join(type_of_request)}"
            ),
        )
    command, errors = _fit(model, body)
    if model is not MixCancel:
        errors = [*errors, *_judge_lines(body, model is MixRequest)]
        errors += _judge_song(body)
    if errors or command is None:
        return tuple(errors[:MAX_ERRORS])
    return command


def _fit(model: type[ModelT], body: Any) -> tuple[ModelT | None, list[FieldError]]:
    try:
        return model.model_validate_json(to_json(body)), []
    except ValidationError as error:
        return None, [
            FieldError(path=_pointer(problem["loc"]), code=_code(problem["type"]), message=problem["msg"])
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]


def _pointer(loc: Sequence[str | int]) -> str:
    """RFC 6901: `~` and `/` inside a name are escaped."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in loc)


def _code(problem: str) -> str:
    if problem in _CODES:
        return _CODES[problem]
    return "out_of_range" if any(word in problem for word in _RANGE) else "wrong_type"


def _judge_lines(body: Mapping[str, Any], whole: bool) -> list[FieldError]:  # noqa: FBT001
    """Faults of lines; of their order too when `body` has the whole mix and not a change to it."""
    raw = body.get("lines")
    if not isinstance(raw, list):
        return []
    lines = [(index, line) for index, item in enumerate(raw) if (line := _times_of(item)) is not None]
    # A change has no profile: its lines are held against the mix's own rate when they are merged into it.
    rate = _rate(body) if whole else None
    errors = [error for index, line in lines for error in judge_times(f"/lines/{index}", line, rate)]
    errors += _judge_ids(lines, whole=whole)
    errors += _judge_candidates(raw)
    if whole:
        errors += _judge_order(lines)
    return errors


def _times_of(item: Any) -> Line | None:
    """The line without its candidates, when its id and times fit: a bad candidate hides no other fault."""
    if not isinstance(item, dict):
        return None
    line, _ = _fit(Line, {name: item[name] for name in ("line_id", "start_ms", "end_ms") if name in item})
    return line


def _rate(body: Mapping[str, Any]) -> Fraction | None:
    profile = body.get("profile", {})
    fps = profile.get("fps") if isinstance(profile, dict) else None
    fitted, _ = _fit(RenderProfile, {} if fps is None else {"fps": fps})
    return fitted.rate if fitted else None


def judge_times(path: str, line: Line, rate: Fraction | None) -> Iterator[FieldError]:
    """Faults of one line's times; that it has no frame can be told only when the mix's rate is known."""
    if line.end_ms <= line.start_ms:
        yield FieldError(
            path=f"{path}/end_ms",
            code="end_before_start",
            message=f"must be above start_ms ({line.start_ms})",
        )
    elif rate is not None and frame_at(line.start_ms, rate) == frame_at(line.end_ms, rate):
        yield FieldError(
            path=path, code="line_too_short", message=f"is allotted no frame at {rate} frames a second"
        )


def _judge_candidates(raw_lines: Sequence[Any]) -> Iterator[FieldError]:
    for index, line in enumerate(raw_lines):
        candidates = line.get("candidates") if isinstance(line, dict) else None
        for position, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict):
                yield from _judge_uri(f"/lines/{index}/candidates/{position}/uri", candidate.get("uri"))


def _judge_ids(lines: Sequence[tuple[int, Line]], *, whole: bool) -> Iterator[FieldError]:
    first_at: dict[str, int] = {}
    for index, line in lines:
        if line.line_id is None and not whole:
            yield FieldError(
                path=f"/lines/{index}/line_id", code="missing", message="a revision names its lines"
            )
            continue
        line_id = line.line_id or str(index + 1)
        if line_id in first_at:
            yield FieldError(
                path=f"/lines/{index}/line_id",
                code="duplicate_line_id",
                message=f"line {first_at[line_id]} has the id {line_id!r} already",
            )
        first_at.setdefault(line_id, index)


def _judge_order(lines: Sequence[tuple[int, Line]]) -> Iterator[FieldError]:
    for (_, before), (index, line) in pairwise(lines):
        path = f"/lines/{index}/start_ms"
        if line.start_ms < before.start_ms:
            yield FieldError(
                path=path, code="not_sorted", message=f"is before the line above ({before.start_ms})"
            )
        elif line.start_ms < before.end_ms:
            yield FieldError(path=path, code="overlap", message=f"the line above ends at {before.end_ms}")


def _judge_song(body: Mapping[str, Any]) -> list[FieldError]:
    song = body.get("song")
    return list(_judge_uri("/song/uri", song.get("uri"))) if isinstance(song, dict) else []


def _judge_uri(path: str, uri: Any) -> Iterator[FieldError]:
    """Refuse an address that no cutter could ever try; what may be fetched is judged at the fetch."""
    if not isinstance(uri, str):
        return
    scheme = _SCHEME.match(uri)
    if scheme and scheme[1].lower() not in ("http", "https", "file"):
        yield FieldError(
            path=path, code="bad_uri", message=f"{scheme[1]}: is not http, https, file or a relative path"
        )
    elif scheme and scheme[1].lower() == "file" and not uri[len("file:") :].startswith("///"):
        yield FieldError(path=path, code="bad_uri", message="a file address is written file:///absolute/path")
    elif scheme is None and uri.startswith("/"):
        yield FieldError(
            path=path, code="bad_uri", message="an absolute path is written file:///absolute/path"
        )
