"""A child notices the end of its parent on any system, also where the kernel does not kill it for us.

Not inside a sandbox, where the parent cannot be seen: there bubblewrap ends with it, and all inside at once.
"""

import os
import threading
import time

POLL_S = 1.0


def watch_parent(parent: int) -> None:
    """End this process within about a second of `parent`; on Linux `die_with_parent` is quicker."""
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="watch-parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(1)
