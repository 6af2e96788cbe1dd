"""Plan a mix: which frames of the video show which line, and what fills the rest.

Every boundary is rounded on its own from the song's clock, never added up from lengths, so no line is
off by more than half a frame however many there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from pydantic_core import to_json

from stream_app.domain.frames import frame_at
from topics.events import PlannedLine
from topics.ids import derived_id
from topics.requests import Gaps, Line, MixRequest, Subtitles


@dataclass(frozen=True, slots=True)
class Plan:
    """The lines of a mix on its frame grid, in order; `total_frames` ends with the last line."""

    lines: tuple[PlannedLine, ...]
    total_frames: int


@dataclass(frozen=True, slots=True)
class Span:
    """A run of frames of the finished video: one line's clip, or black when `line` is `None`."""

    start_frame: int
    frames: int
    line: PlannedLine | None


def plan_mix(request: MixRequest, mix_id: str, asked_anew: int = 1) -> Plan:
    """Allot frames to every line of a valid request.

    Clips are asked for under other ids than before when `asked_anew`, the revision that asked for all of
    them anew, is another.
    """
    request = as_content(request)
    rate = request.profile.rate
    bounds = [(frame_at(line.start_ms, rate), frame_at(line.end_ms, rate)) for line in request.lines]
    starts_of_next = [start for start, _ in bounds[1:]] + [bounds[-1][1]]
    lines = tuple(
        _planned(request, mix_id, index, asked_anew, bounds=bounds[index], next_start=starts_of_next[index])
        for index in range(len(bounds))
    )
    return Plan(lines, total_frames=bounds[-1][1])


def _planned(
    request: MixRequest, mix_id: str, index: int, asked_anew: int, *, bounds: tuple[int, int], next_start: int
) -> PlannedLine:
    line = request.lines[index]
    start, end = bounds
    extended_end = _extended_end(request.gaps, line, end, next_start, request.profile.rate)
    recipe = {
        "mix_id": mix_id,
        "line_id": line.line_id,
        "frames": end - start,
        "extend_frames": extended_end - end,
        "profile": request.profile,
        "candidates": line.candidates,
    }
    if (overlay := overlay_text(request.subtitles, line.text)) is not None:
        recipe["overlay_text"] = overlay
    if asked_anew > 1:
        recipe["asked_anew"] = asked_anew
    return PlannedLine(
        line_id=str(line.line_id),
        # Named by what is to be cut, so that a line which a revision leaves alone keeps its id.
        clip_task_id=derived_id("clip-task", to_json(recipe).decode()),
        clip_index=index,
        start_frame=start,
        frames=end - start,
        extend_frames=extended_end - end,
        text=line.text,
        start_ms=line.start_ms,
        end_ms=line.end_ms,
        candidates=line.candidates,
    )


def overlay_text(subtitles: Subtitles, text: str) -> str | None:
    """What of a line's text is drawn into its clip."""
    return text if subtitles.burn_in and text.strip() else None


def _extended_end(gaps: Gaps, line: Line, end: int, next_start: int, rate: Fraction) -> int:
    """Where the line's clip ends: it may run into the gap that follows, but never into the next line."""
    if gaps.policy == "black":
        return end
    return max(end, min(next_start, frame_at(line.end_ms + gaps.max_extend_ms, rate)))


def timeline(lines: Sequence[PlannedLine], total_frames: int) -> Iterator[Span]:
    """Every span of a video of `total_frames`, in order and without holes: intro, clips, gaps, outro."""
    shown = 0
    for line in lines:
        if line.start_frame > shown:
            yield Span(shown, line.start_frame - shown, None)
        yield Span(line.start_frame, line.clip_frames, line)
        shown = line.start_frame + line.clip_frames
    if total_frames > shown:
        yield Span(shown, total_frames - shown, None)


def as_content(request: MixRequest) -> MixRequest:
    """What a request asks and no more: every line has its id, and the mix's name and scores are left out."""
    lines = tuple(
        line.model_copy(
            update={
                "line_id": line.line_id or str(position),
                "candidates": tuple(each.model_copy(update={"score": None}) for each in line.candidates),
            }
        )
        for position, line in enumerate(request.lines, start=1)
    )
    return request.model_copy(update={"mix_id": None, "lines": lines})


def content_digest(request: MixRequest) -> str:
    """sha256 of what a request asks, after validation and defaults."""
    return sha256(as_content(request).model_dump_json().encode()).hexdigest()
