"""What the verifier says of a world whose roles have ended."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERIFIER = Path(__file__).parent / "verifier"


@dataclass(frozen=True)
class Verdict:
    """What the verifier found."""

    report: dict[str, Any]
    table: str

    @property
    def is_green(self) -> bool:
        return not self.report["findings"]

    def broken(self) -> set[str]:
        return {finding["promise"] for finding in self.report["findings"]}

    def but(self, complaint: str) -> "Verdict":
        """The same, and something that the one who did the harm had to say."""
        finding = {"promise": "I6", "kind": "wrong", "record": "-", "message": complaint}
        report = {**self.report, "findings": [*self.report["findings"], finding]}
        return Verdict({**report, "wrong": report["wrong"] + 1}, f"{self.table}I6 wrong: -: {complaint}\n")


def judge(report: Path, *arguments: str) -> Verdict:
    """Run the verifier, and have it write `report`."""
    report.unlink(missing_ok=True)
    told = subprocess.run(
        [sys.executable, str(VERIFIER), "--json", str(report), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert report.exists(), told.stderr
    return Verdict(json.loads(report.read_text()), told.stdout)
