"""A process that joins: orders on stdin, outcomes on stdout, a line of JSON each.

Run by `runner`, as `python -m stream_app.assembly.child PARENT_PID`.
"""

import os
import signal
import sys
from types import FrameType

from stream_app.assembly.assemble import assemble_mix, prepare_song
from stream_app.assembly.order import Assembled, SongOrder
from stream_app.assembly.outcome import Order, Outcome, read_order
from stream_app.child_process import die_with_parent
from stream_app.domain.errors import MixError, OwnFaultError
from stream_app.python_gc import spare_what_is_loaded


def main() -> None:
    """Do what stdin orders until it ends; every error that clipfold has a name for is told on stdout."""
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGTERM, _stop)
    # What a library prints goes to the log.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    spare_what_is_loaded()
    for line in sys.stdin.buffer:
        answers.write(_outcome(read_order(line)).model_dump_json().encode() + b"\n")


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`, so that half-made files go."""
    sys.exit(1)


def _outcome(order: Order) -> Outcome:
    try:
        return Outcome(done=True, assembled=_do(order))
    except MixError as error:
        return Outcome(failure=error.reason, message=str(error))
    except OwnFaultError as error:
        return Outcome(message=str(error))


def _do(order: Order) -> Assembled | None:
    if isinstance(order, SongOrder):
        prepare_song(order)
        return None
    return assemble_mix(order)


if __name__ == "__main__":
    main()
