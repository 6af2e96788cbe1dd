"""`clipfold worker`."""

from stream_app.app.worker import run_worker
from stream_app.cli.roles import run_role


def worker() -> None:
    """Take requests, cut clips, join mixes. SIGTERM drains; start more on the same Kafka to go faster."""
    run_role("worker", run_worker)
