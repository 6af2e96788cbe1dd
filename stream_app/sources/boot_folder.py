"""A folder that lasts until the machine is started again, for files that nobody forces to disk."""

import os
import re
import shutil
import time
from pathlib import Path

from stream_app.sources.folder_lock import POLL_S, hold_folder, hold_made

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAME = re.compile(r"boot-[0-9a-z-]+")


def folder_of_this_boot(root: Path) -> tuple[Path, int]:
    """The folder in `root` for the time since the machine was started; those of earlier boots are removed.

    It is the same for all processes of the machine, those in containers too.

    Returns:
        The folder, and a handle that is to be closed when it is no longer used: on a disk that machines
        share, it keeps the others from removing it.

    Raises:
        OSError: it cannot be made.
    """
    folder = root / f"boot-{_boot()}"
    while (handle := hold_made(folder)) is None:
        time.sleep(POLL_S)
    for other in root.iterdir():
        if other != folder and _NAME.fullmatch(other.name):
            _remove_if_unused(other)
    return folder, handle


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except FileNotFoundError:
        # Not Linux: there, a power cut is not told from a restart.
        return "unknown"


def _remove_if_unused(folder: Path) -> None:
    handle = hold_folder(folder, alone=True)
    if handle is None:
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
