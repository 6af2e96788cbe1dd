"""What a task wants drawn, and what is said when not all of it could be."""

from stream_app.cutting.orders import CutResult, Overlay
from stream_app.telemetry.log import get_logger
from topics.tasks import ClipTask

MENTIONED = 40
"""Characters named in a warning; the clip's event has all of them."""

ADVICE = (
    "install fonts that have these characters on every worker, such as Debian's fonts-noto-core or "
    "fonts-noto-cjk, and ask for the mix again under another mix_id"
)

log = get_logger()


def overlay_of(task: ClipTask) -> Overlay | None:
    """The lyrics of a task's line, over the line's own frames."""
    return None if task.overlay_text is None else Overlay(task.overlay_text, task.frames)


def warn_of_undrawn(task: ClipTask, clip: CutResult) -> None:
    """Warn that a clip lacks characters of its line, if so: it shows no boxes in their place."""
    if clip.undrawn:
        log.warning(
            "render_worker.lyrics_incomplete",
            mix_id=task.mix_id,
            trace_id=task.trace_id,
            clip_task_id=task.clip_task_id,
            clip_index=task.clip_index,
            undrawn=clip.undrawn[:MENTIONED],
            missing_characters=len(clip.undrawn),
            advice=ADVICE,
        )
