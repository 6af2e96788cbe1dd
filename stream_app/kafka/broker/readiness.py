"""Wait until a broker works, for as long as its process lives."""

import time
from collections.abc import Callable

from stream_app.kafka.broker.metadata import ask_metadata
from stream_app.kafka.broker.waiting import POLL_S, Deadline

ANSWER_TIMEOUT_S = 5.0
"""For one answer, on a machine that has much else to do."""


def answers(port: int, cluster: str | None) -> bool:
    """Whether the broker of that cluster, and no other, says that it serves that port."""
    metadata = ask_metadata(port, timeout_s=ANSWER_TIMEOUT_S)
    return metadata is not None and port in metadata.ports and metadata.cluster_id == cluster


def wait_until_ready(port: int, cluster: str | None, alive: Callable[[], bool], deadline: Deadline) -> bool:
    """Whether the broker came to work before its process ended and before the deadline."""
    while not answers(port, cluster):
        if deadline.passed() or not alive():
            return False
        time.sleep(POLL_S)
    return True
