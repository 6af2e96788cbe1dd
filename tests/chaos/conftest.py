"""The harness is imported by its plain names, as `scripts/chaos` does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
