"""Whether clipfold has kept its promises: `python tests/chaos/verifier --bootstrap ... --artifacts ...`.

Reads every topic from offset 0, the ledger of what Kafka acknowledged, the files and the snapshot, and shares
no code with clipfold. Run it when all workers and `serve` have ended. Exit 1 when a promise is broken.

The ledger has a JSON object a line: `mix_id`, `record` (topic/partition/offset), `sha256` of the value,
`at_ms`, and perhaps `expects` (the type of the end) and `clean` (no line may be a placeholder). The faults
file has `name`, `from_ms` and `until_ms` of each fault.
"""

import argparse
import json
import sys
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from files import check_leftovers, check_media
from findings import Findings
from log import Log, read_log
from pauses import check_pauses
from projection import check_snapshot
from promises import check_causes, check_ledger, check_stories
from story import story_of


def main() -> int:
    asked = _arguments()
    ledger, faults = _lines(asked.ledger), _lines(asked.faults) if asked.faults else []
    log = read_log(asked.bootstrap)
    findings = Findings()
    stories = {mix_id: story_of(mix_id, events) for mix_id, events in log.by_mix().items()}
    known = {entry["mix_id"] for entry in ledger} | _asked_in(log)
    check_ledger(findings, ledger, log, stories)
    check_stories(findings, stories.values(), known)
    check_causes(findings, log)
    check_snapshot(findings, asked.snapshot or asked.artifacts / "clipfold.duckdb", log, stories)
    check_media(findings, stories.values(), asked.source_fps)
    check_leftovers(findings, asked.artifacts.resolve())
    longest = None
    if not asked.clocks_differ:
        longest = check_pauses(findings, ledger, log, stories, faults=faults, limit_ms=asked.max_pause_ms)
    report = {
        "requests": len(ledger),
        "events": len(log.records["mix-events"]),
        **{kind: findings.count(kind) for kind in ("lost", "invented", "wrong")},
        "longest_pause_ms": longest,
        "checked": dict(findings.checked),
        "findings": [asdict(each) for each in findings.found],
    }
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))
    print("\n".join(findings.table()))  # noqa: T201 - a program's own report
    return 1 if findings.found else 0


def _asked_in(log: Log) -> set[str]:
    """Mixes that a request in Kafka names; its sender may have died before it could write that down."""
    return {str(record.value.get("mix_id")) for record in log.records["mix-requests"] if record.value} | {
        (record.key or b"").decode(errors="replace") for record in log.records["mix-requests"]
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--artifacts", type=Path, required=True)
    parser.add_argument("--snapshot", type=Path)
    parser.add_argument("--faults", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--source-fps", type=Fraction, help="the sources are the load's own, and show their frames"
    )
    parser.add_argument("--clocks-differ", action="store_true", help="times tell nothing about pauses")
    parser.add_argument("--max-pause-ms", type=int, default=15_000, help="session timeout and 5 s")
    return parser.parse_args()


sys.exit(main())
