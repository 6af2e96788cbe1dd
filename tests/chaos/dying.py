"""How a fail-point ends a worker; and, as a program, the fail-point that lies in a cutting process."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from stream_app.cutting import child

Die = Callable[[], None]


def dying(how: str, *, worker: int | None = None) -> Die:
    """What ends the worker, with all that it has started; `how` is `POINT:TIMES`, as often as that in all."""
    point, _, times = how.partition(":")
    notes = Path(os.environ["CHAOS_NOTES"])

    def die() -> None:
        for number in range(int(times)):
            try:
                (notes / f"{point}-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            if worker is not None:
                os.kill(worker, signal.SIGKILL)
            os._exit(70)

    return die


def spoil_rename(how: str, die: Die) -> None:
    """End before or after a clip gets its name."""
    replace = Path.replace

    def replace_and_die(self: Path, target: Path) -> Path:
        is_clip = target.suffix == ".mp4" and target.parent.name == "clips"
        if is_clip and how.startswith("die-before-rename"):
            die()
        moved = replace(self, target)
        if is_clip and how.startswith("die-after-rename"):
            die()
        return moved

    Path.replace = replace_and_die  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    spoil_rename(sys.argv[1], dying(sys.argv[1], worker=os.getppid()))
    sys.argv = sys.argv[1:]
    child.main()
