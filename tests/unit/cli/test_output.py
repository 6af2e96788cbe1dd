"""What commands print is what they were asked for, and nothing else."""

import subprocess
import sys

SOMETHING_IS_LOGGED = """
import logging
from stream_app import cli
from stream_app.telemetry.log import get_logger

def command():
    get_logger().warning("something.happened", error="of ours")
    logging.getLogger("aiokafka").error("of a library")
    print("42")

cli.app = command
cli.main()
"""


def test_what_is_logged_never_stands_among_what_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SOMETHING_IS_LOGGED], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "42\n"
    assert "something.happened" in done.stderr
    assert "of a library" not in done.stderr, "a command says itself what went wrong with Kafka"
