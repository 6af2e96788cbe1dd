"""Resource limits that a cutting process puts on itself, whatever it runs in.

Not limited is the number of processes (`RLIMIT_NPROC`): the kernel counts those of the user, not ours.
"""

import contextlib
import resource
import signal
import time
from pathlib import Path

from stream_app.cutting.orders import CutOrder, Order, PlaceholderOrder

MAX_FILE_BYTES = 64 * 2**30
"""Ten minutes of 8K at quality `high` are about 15 GiB, a day of broadcast MPEG-TS is 40. Who writes beyond
is killed by SIGXFSZ: an error of the write would look like a full disk, which is waited for."""

MAX_OPEN_FILES = 256
"""A cut opens about ten."""

CPU_FACTOR = 2
"""Decoder and encoder have one thread each, in turn: within the wall-clock limit no cut reaches its double.
It ends a busy process whose worker is stopped and cannot end it."""

BASE_BYTES = 512 * 2**20
"""Python and its libraries are 90 MiB, the index of nine hours of video 200 MiB while it is made."""

DECODER_BYTES_PER_PIXEL = 200
"""32 pictures of the costliest kind, 4:4:4 in 16 bits, are 192. (16 references of 8K in 4:2:0: 48 seen.)"""

ENCODER_BYTES_PER_PIXEL = 120
"""x264 at quality `high` with its look-ahead: 113 seen."""

OOM_SCORE = 500
"""When memory runs out, the kernel ends a cutter, which costs one attempt, before the worker or Kafka."""


_EXCEEDED: dict[int, str] = {
    signal.SIGXCPU: f"took more processor time than {CPU_FACTOR} times its time limit",
    signal.SIGXFSZ: f"wrote a file of more than {MAX_FILE_BYTES // 2**30} GiB",
}


def hold_limits() -> None:
    """Set the limits that stay the same for as long as the process lives."""
    # A dump would write megabytes of other people's pictures somewhere.
    _limit_for_good(resource.RLIMIT_CORE, 0)
    _limit_for_good(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    _limit_for_good(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    # Python ignores it, and the write would then fail as on a full disk.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    # Only Linux has it.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


def allow(order: Order, max_pixels: int) -> None:
    """Set the limits of one order; the process may have worked for others before.

    `RLIMIT_DATA` and not `RLIMIT_AS`: a source that is mapped into memory takes none.
    """
    cpu_s = time.process_time() + CPU_FACTOR * order.clip_timeout_ms / 1000
    _limit_for_now(resource.RLIMIT_CPU, int(cpu_s) + 1)
    _limit_for_now(resource.RLIMIT_DATA, memory_bytes(order, max_pixels))


def memory_bytes(order: Order, max_pixels: int) -> int:
    """So much memory may the process take for an order, with sources of up to `max_pixels` a frame."""
    painted = (
        order.profile.width * order.profile.height if isinstance(order, CutOrder | PlaceholderOrder) else 0
    )
    return BASE_BYTES + DECODER_BYTES_PER_PIXEL * max_pixels + ENCODER_BYTES_PER_PIXEL * painted


def how_it_ended(status: int | None) -> str:
    """What the end of a process in the middle of its work means, by its exit status.

    Args:
        status: below 0: the signal that ended it; above 128, from bubblewrap: that number more than 128.
    """
    number = 0 if status is None else -status if status < 0 else status - 128
    return _EXCEEDED.get(number, "crashed on this source")


def _limit_for_good(which: int, wanted: int) -> None:
    value = _within(wanted, resource.getrlimit(which)[1])
    resource.setrlimit(which, (value, value))


def _limit_for_now(which: int, wanted: int) -> None:
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (_within(wanted, hard), hard))


def _within(wanted: int, hard: int) -> int:
    """A limit that whoever started us has set is kept."""
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
