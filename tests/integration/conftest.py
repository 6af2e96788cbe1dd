"""What the tests against real parts share."""

import sys
from pathlib import Path

# Test folders are no packages: the plugin lies two folders up, beside the folders that share it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from broker_fixture import kafka_bootstrap

__all__ = ["kafka_bootstrap"]
