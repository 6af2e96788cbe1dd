"""Revise a mix: put changed and new lines into its newest content, and judge the whole as a request."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from stream_app.domain.plan import as_content
from stream_app.domain.validate import MAX_ERRORS, judge_times
from topics.events import FieldError, MixAccepted
from topics.requests import MAX_LINES, Line, MixRequest, MixRevise


def content_of(accepted: MixAccepted) -> MixRequest:
    """What the mix is asked to be by its newest plan; a deadline is no part of that."""
    return MixRequest(
        priority=accepted.priority,
        song=accepted.song,
        profile=accepted.profile,
        gaps=accepted.gaps,
        subtitles=accepted.subtitles,
        lines=tuple(
            Line(
                line_id=line.line_id,
                text=line.text,
                start_ms=line.start_ms,
                end_ms=line.end_ms,
                candidates=line.candidates,
            )
            for line in accepted.lines
        ),
    )


def revised(content: MixRequest, change: MixRevise) -> MixRequest | tuple[FieldError, ...]:
    """The content with `change` in it, or everything that is wrong with the result.

    A line takes the place of the one with its `line_id`, or is new; all are ordered by `start_ms` again, and
    what `change` does not name stays as it is. Every error points into `change`, where it can be mended.
    """
    position = {line.line_id: index for index, line in enumerate(change.lines)}
    kept = [line for line in content.lines if line.line_id not in position]
    lines = sorted([*kept, *change.lines], key=lambda line: line.start_ms)
    errors = [
        error
        for index, line in enumerate(change.lines)
        for error in judge_times(f"/lines/{index}", line, content.profile.rate)
    ]
    errors += _overlaps(lines, position)
    if len(lines) > MAX_LINES:
        message = f"the mix would have {len(lines)} lines, and {MAX_LINES} are the most"
        errors.append(FieldError(path="/lines", code="out_of_range", message=message))
    if errors:
        return tuple(errors[:MAX_ERRORS])
    options = {
        name: value
        for name in ("priority", "song", "gaps", "subtitles")
        if (value := getattr(change, name)) is not None
    }
    return as_content(content.model_copy(update={**options, "lines": tuple(lines)}))


def _overlaps(lines: Sequence[Line], position: Mapping[str | None, int]) -> Iterator[FieldError]:
    """Lines of the merged mix that run into the next one. Of such a pair at least one is a changed line."""
    for before, line in pairwise(lines):
        if line.start_ms >= before.end_ms:
            continue
        if line.line_id in position:
            path = f"/lines/{position[line.line_id]}/start_ms"
            message = f"line {before.line_id!r} of the mix ends at {before.end_ms}"
        else:
            path = f"/lines/{position[before.line_id]}/end_ms"
            message = f"line {line.line_id!r} of the mix starts at {line.start_ms}"
        yield FieldError(path=path, code="overlap", message=message)
