"""How a frame of `clipfold top` looks."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stream_app.cli.progress import as_time
from stream_app.cli.top_frame import Frame

BAR_WIDTH = 30


def as_screen(frame: Frame | None, trouble: str | None = None) -> RenderableType:
    """The newest frame, if there is one, under what is wrong now, if anything is."""
    parts: list[RenderableType] = []
    if trouble is not None:
        parts.append(Text(f"{trouble}; trying again", style="bold red"))
    if frame is not None:
        parts += _parts(frame)
    return Group(*parts)


def _parts(frame: Frame) -> Iterator[RenderableType]:
    config = frame.config.config
    yield Text(f"clipfold  {frame.kafka}  {_moment(frame.at_ms)}", style="bold")
    yield Text(
        f"config {frame.config.version}: max_parallelism {config.max_parallelism}, "
        f"per_video_limit {config.per_video_limit}, max_retry {config.max_retry}"
    )
    if not frame.is_whole:
        yield Text("the log is still being read", style="yellow")
    for table in (_workers(frame), _mixes(frame), _groups(frame)):
        yield Text("")
        yield table
    if frame.ended:
        yield Text("")
        yield Text(
            "ended last: " + ", ".join(f"{each.mix_id} {each.status}" for each in frame.ended), style="dim"
        )


def _workers(frame: Frame) -> Table:
    table = _table("worker", "host", "partitions", "slots", "clips/min", "failed/min")
    slots = frame.config.config.max_parallelism
    for each in frame.workers:
        used = f"{each.slots_used}/{slots}"
        cut = each.attempts - each.failures
        host = each.host or Text("gone", style="red")
        table.add_row(each.worker, host, str(each.partitions), used, str(cut), str(each.failures))
    return table


def _mixes(frame: Frame) -> Table:
    table = _table("mix", "rev", "", "lines", "placeholders", "elapsed", "ETA", "")
    for each in frame.mixes:
        table.add_row(
            each.mix_id,
            str(each.revision),
            ProgressBar(total=each.lines, completed=each.done, width=BAR_WIDTH),
            f"{each.done}/{each.lines}",
            str(each.placeholders),
            as_time(each.elapsed_ms),
            as_time(each.remaining_ms),
            each.state,
        )
    return table


def _groups(frame: Frame) -> Table:
    table = _table("group", "topic", "state", "members", "lag")
    for each in frame.groups:
        lag = Text(str(each.lag), style="yellow" if each.lag else "")
        table.add_row(each.group, each.topic, each.state, str(len(each.members)), lag)
    return table


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S UTC")
