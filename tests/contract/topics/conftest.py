import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "dev"
sys.path.insert(0, str(SCRIPTS))  # scripts find one another beside themselves, as when they are run
