"""A cutting process, `python -m stream_app.cutting.child TERMS`: orders in, answers out."""

import os
import signal
import sys

from stream_app.child_process import die_with_parent
from stream_app.clip.store import ClipStore
from stream_app.cutting.death import watch_parent
from stream_app.cutting.index import limit_pixels
from stream_app.cutting.limits import allow, hold_limits
from stream_app.cutting.messages import READY, Answer, Done, Failed, answer_line, read_order
from stream_app.cutting.orders import Order
from stream_app.cutting.terms import Terms
from stream_app.cutting.work import perform
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.python_gc import spare_what_is_loaded
from topics.reasons import FallbackReason


def main() -> None:
    """Perform orders until the parent closes the pipe or ends."""
    terms = Terms.of_argument(sys.argv[1])
    if terms.parent is not None:
        die_with_parent(terms.parent)
        watch_parent(terms.parent)
    hold_limits()
    limit_pixels(terms.max_pixels)
    # Ctrl-C goes to the whole terminal: the parent decides what becomes of this job.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Answers go over the pipe alone; what a library prints goes to the log.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    spare_what_is_loaded()
    answers.write(READY)
    for line in sys.stdin.buffer:
        answers.write(answer_line(_answer(read_order(line), terms)))


def _answer(order: Order, terms: Terms) -> Answer:
    allow(order, terms.max_pixels)
    try:
        return Done(perform(order, ClipStore(terms.store, terms.owner), terms.isolation))
    except (SourceError, OwnFaultError) as error:
        return Failed.of(error)
    except MemoryError:
        message = "the source needs more memory than there is"
        return Failed(FallbackReason.SOURCE_INVALID, message, stage="cut", retryable=False)


if __name__ == "__main__":
    main()
