"""The process that assembles one mix: an order on stdin, the result on stdout, both JSON.

Run by `runner`, as `python -m stream_app.assembly.child PARENT_PID`.
"""

import signal
import sys
from types import FrameType

from stream_app.assembly.assemble import assemble_mix
from stream_app.assembly.order import Assembled, AssembleOrder
from stream_app.assembly.outcome import Outcome
from stream_app.child_process import die_with_parent
from stream_app.domain.errors import MixError, OwnFaultError


def main() -> None:
    """Assemble what stdin orders; every error that clipfold has a name for is told on stdout."""
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGTERM, _stop)
    order = AssembleOrder.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write(_outcome(order).model_dump_json())


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`, so that half-made files go."""
    sys.exit(1)


def _outcome(order: AssembleOrder) -> Outcome:
    try:
        assembled: Assembled = assemble_mix(order)
    except MixError as error:
        return Outcome(failure=error.reason, message=str(error))
    except OwnFaultError as error:
        return Outcome(message=str(error))
    return Outcome(assembled=assembled)


if __name__ == "__main__":
    main()
