"""Remove what is kept no longer: when somebody says so, and by itself now and then."""

import asyncio
import fcntl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiokafka.errors import KafkaError

from stream_app.clock import now_ms
from stream_app.domain.errors import ClipfoldError, UsageError
from stream_app.retention.garbage import Found, Garbage
from stream_app.retention.log_use import read_use
from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger

MAX_RUN_S = 1800.0
"""What the log said is not relied on for longer: mixes are revised meanwhile. The next run does the rest."""

LOOK_EVERY_S = 30.0

log = get_logger()


async def collect(settings: Settings, *, dry_run: bool = False) -> list[Found]:
    """Remove what is kept no longer; what that was, or, in a dry run, would be.

    Raises:
        UsageError: another process is at it.
        OwnFaultError: the log cannot be read whole, or the disk is not ours to write.
        KafkaError: Kafka cannot be reached; nothing was removed.
    """
    with _alone(settings):
        started = time.monotonic()
        moment_ms = now_ms()
        garbage = Garbage(settings, await read_use(settings), moment_ms)
        return await asyncio.to_thread(_remove, garbage, started + MAX_RUN_S, dry_run=dry_run)


async def collect_now_and_then(settings: Settings, stop: asyncio.Event) -> None:
    """Collect every `gc_every_minutes`, whichever of the workers of these artifacts did so last."""
    while settings.gc_every_minutes and not stop.is_set():
        if _take_turn(settings):
            # In a thread with an event loop of its own: a long log takes seconds to read.
            await asyncio.to_thread(_collect_by_itself, settings)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)


def _collect_by_itself(settings: Settings) -> None:
    try:
        removed = asyncio.run(collect(settings))
    except (ClipfoldError, KafkaError, OSError, TimeoutError) as error:
        log.warning("gc.failed", error=str(error) or type(error).__name__)
        return
    log.info(
        "gc.ended",
        removed=dict(Counter(each.kind for each in removed)),
        bytes=sum(each.bytes for each in removed),
    )


def _remove(garbage: Garbage, until: float, *, dry_run: bool) -> list[Found]:
    removed = []
    for found in garbage.find():
        if time.monotonic() > until:
            break
        if dry_run or garbage.remove(found):
            removed.append(found)
    return removed


def _take_turn(settings: Settings) -> bool:
    """Whether it is time; then nobody else's turn comes before the next one, however this one ends."""
    stamp = settings.artifacts_dir / ".gc.last"
    try:
        last_s = stamp.stat().st_mtime
    except FileNotFoundError:
        # A new folder: nothing in it can be old.
        last_s = time.time()
    is_due = time.time() - last_s >= settings.gc_every_minutes * 60
    if is_due or not stamp.exists():
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    return is_due


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Be the only one who removes things from these artifacts."""
    folder = settings.artifacts_dir
    if not folder.is_dir():
        raise UsageError(f"there are no artifacts at {folder}; RENDER_ARTIFACTS_DIR says where they are")
    with (folder / ".gc.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process is removing things from {folder} already") from error
        yield
