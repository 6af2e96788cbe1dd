"""Show progress on stderr: a live bar on a terminal, plain lines elsewhere."""

import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from stream_app.cli.story import Progress

PLAIN_EVERY_S = 5.0
"""Between two plain lines: often enough to see that it lives, seldom enough for a log."""

SCRAPE_EVERY_S = 1.0
_INFLIGHT = re.compile(r"^render_clip_inflight\{[^}]*\} ([0-9.]+)$", re.MULTILINE)


@contextmanager
def showing_progress(title: str, metrics_url: str | None) -> Iterator[Callable[[Progress], None]]:
    """Yields what to call with each step."""
    console = Console(stderr=True, highlight=False)
    parallel = _Parallelism(metrics_url)
    if not console.is_terminal:
        yield _plain_lines(title, parallel, console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, more="")

        def show(progress: Progress) -> None:
            more = _more(progress, parallel.now())
            bar.update(task, total=progress.total or None, completed=progress.done, more=more)

        yield show


def _plain_lines(title: str, parallel: "_Parallelism", console: Console) -> Callable[[Progress], None]:
    last_at = 0.0
    last_done = -1

    def show(progress: Progress) -> None:
        nonlocal last_at, last_done
        finished = progress.total > 0 and progress.done == progress.total
        due = time.monotonic() - last_at >= PLAIN_EVERY_S or finished
        if progress.done == last_done or not due:
            return
        last_at, last_done = time.monotonic(), progress.done
        console.print(
            f"{title}: {progress.done}/{progress.total or '?'} clips, {_more(progress, parallel.now())}",
            markup=False,
            soft_wrap=True,
        )

    return show


def _more(progress: Progress, parallel: int | None) -> str:
    parts = [f"{progress.placeholders} placeholders"]
    if parallel is not None:
        parts.append(f"{parallel} in parallel")
    parts.append(f"{as_time(progress.elapsed_ms)} elapsed")
    if progress.done == progress.total > 0:
        parts.append("joining")
    else:
        parts.append(f"ETA {as_time(progress.remaining_ms)}")
    return ", ".join(parts)


def as_time(duration_ms: int | None) -> str:
    """A duration as `h:mm:ss`; `-` when it is not known."""
    if duration_ms is None:
        return "-"
    minutes, seconds = divmod(round(duration_ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


class _Parallelism:
    """Attempts in progress now, asked of the worker at most once a second."""

    def __init__(self, metrics_url: str | None) -> None:
        self._url = metrics_url
        self._asked_at = 0.0
        self._last: int | None = None

    def now(self) -> int | None:
        """The newest figure; `None` when there is no worker of our own to ask."""
        if self._url and time.monotonic() - self._asked_at > SCRAPE_EVERY_S:
            self._asked_at = time.monotonic()
            self._last = self._scrape(self._url)
        return self._last

    def _scrape(self, url: str) -> int | None:
        try:
            with urllib.request.urlopen(url, timeout=0.5) as answer:  # noqa: S310 - loopback, made by us
                found = _INFLIGHT.findall(answer.read().decode())
        except OSError:
            return self._last
        return round(sum(map(float, found)))
