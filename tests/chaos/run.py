"""Do harm to a running clipfold, and have an independent verifier say what came of it.

Without a name all scenarios run, which takes most of an hour on two cores. With --write the table goes into
docs/reliability.md, with the date and the commit. Exit 1 when a promise was broken.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scenarios import SCENARIOS, Scenario, run  # noqa: E402 - the path comes first

PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- scripts/chaos begins -->", "<!-- scripts/chaos ends -->"
COLUMNS = ("fault", "times", "requests", "events", "lost", "invented", "wrong", "longest pause, s", "made")
HEAD = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
ALONE = ("unshare", "--map-root-user", "--mount", "sh", "-euc")
SMALL_DISK_TIMEOUT_S = 900
MOUNT = 'mount -t tmpfs -o size="$1" small-disk "$2"; shift 2; exec "$@"'


def play(chosen: Scenario, times: int, asked: argparse.Namespace) -> dict[str, Any]:
    """The row of one scenario; its folder goes when nothing was found."""
    folder = asked.folder or Path(tempfile.mkdtemp(prefix=f"chaos-{chosen.name}-"))
    if chosen.small_disk and not asked.folder:
        return _on_small_disk(chosen, times, asked, folder)
    spoilt = {"serve" if asked.spoil == "no-dedupe" else "worker": asked.spoil} if asked.spoil else {}
    began = time.monotonic()
    verdict = run(
        chosen, folder, times=times, patience_s=asked.patience, **({"spoilt": spoilt} if spoilt else {})
    )
    sys.stderr.write(verdict.table)
    return {
        "name": chosen.name,
        "fault": chosen.sentence,
        "times": times,
        "took_s": round(time.monotonic() - began),
        "folder": str(folder),
        **verdict.report,
    }


def _on_small_disk(chosen: Scenario, times: int, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Play it in a process for which a folder is a disk of its own, gone with that process."""
    name, size = chosen.small_disk or ("", "")
    (folder / name).mkdir()
    told = folder / "row.json"
    again = [sys.executable, __file__, chosen.name, "--times", str(times), "--folder", str(folder)]
    again += ["--json", str(told), "--patience", str(asked.patience)]
    again += ["--spoil", asked.spoil] if asked.spoil else []
    subprocess.run(
        [*ALONE, MOUNT, "sh", size, str(folder / name), *again],
        check=False,
        timeout=SMALL_DISK_TIMEOUT_S,
    )
    (row,) = json.loads(told.read_text())
    return dict(row)


def line_of(row: dict[str, Any]) -> str:
    """A row of the table, in Markdown; it says when it was made, and of what."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    pause = "-" if row["longest_pause_ms"] is None else f"{row['longest_pause_ms'] / 1000:.1f}"
    made = f"{datetime.now(UTC):%Y-%m-%d} {commit}"
    return "| " + " | ".join([*(str(row[name]) for name in COLUMNS[:-2]), pause, made]) + " |"


def write(rows: list[dict[str, Any]]) -> None:
    """Put the rows between the marks of the page; those of other scenarios stay."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    there, _, after = rest.partition(END)
    lines = {line.split(" | ")[0]: line for line in there.splitlines() if line.startswith("| ")}
    lines |= {f"| {row['fault']}": line_of(row) for row in rows}
    sorted_lines = [
        lines[f"| {each.sentence}"] for each in SCENARIOS.values() if f"| {each.sentence}" in lines
    ]
    PAGE.write_text("\n".join([before + BEGIN, *HEAD, *sorted_lines, END + after]))


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", nargs="*", help="its name; see --list")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--times", type=int, help="how often the fault happens, instead of its own number")
    parser.add_argument("--spoil", help="a mutant of the product; see tests/chaos/launcher.py")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--patience", type=float, default=60, help="s without progress before all is judged")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        for each in SCENARIOS.values():
            sys.stdout.write(f"{each.name:20} {each.sentence}, {each.times} times\n")
        return 0
    rows = []
    for name in asked.scenario or SCENARIOS:
        chosen = SCENARIOS[name]
        rows.append(play(chosen, asked.times or chosen.times, asked))
        if asked.write:
            write(rows[-1:])
    if asked.json:
        asked.json.write_text(json.dumps(rows))
    sys.stdout.write("\n".join([*HEAD, *map(line_of, rows), ""]))
    return 1 if any(row["findings"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
