"""Writes what is made from the code: schemas of records, reference pages, `.env.example`.

    python scripts/dev/generate_reference.py [--check] [--allow-breaking]

`--check` writes nothing; it ends with 1 and says which file is not as the code says, and what to type.
A schema that would no longer read the records in the log is not written: make a new version of its type, or,
while nobody has such records, say `--allow-breaking`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from flow_page import flow_page
from schema_files import record_models, schema_file
from settings_page import env_example, settings_page
from sql_page import sql_page
from topics_page import topics_page

from topics.compatibility import breaking_changes
from topics.envelope import VERSION

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path("topics/schemas")
EXAMPLES = Path("topics/examples")
MEND = "python scripts/dev/generate_reference.py"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write or check every file under `root`; returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes what is made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is not up to date")
    parser.add_argument("--allow-breaking", action="store_true", help="let schemas refuse old records")
    options = parser.parse_args(arguments)
    made = made_files(root)
    stale = stale_files(made, root)
    if options.check:
        return _complain([f"{path} is not what the code says; mend it with: {MEND}" for path in stale])
    if not options.allow_breaking and (breaking := broken_schemas(made, root)):
        return _complain([*breaking, f"nothing was written; see {MEND} --help"])
    _write(made, stale, root)
    return 0


def made_files(root: Path) -> dict[Path, str]:
    """Every file made from the code, by its path under the root of the project."""
    schemas = {
        SCHEMAS / f"{name}.{VERSION}.json": schema_file(model) for name, model in record_models().items()
    }
    return schemas | {
        Path("docs/reference/topics.md"): topics_page(root / EXAMPLES),
        Path("docs/reference/data-flow.md"): flow_page(),
        Path("docs/reference/settings.md"): settings_page(),
        Path("docs/reference/sql.md"): sql_page(),
        Path(".env.example"): env_example(),
    }


def stale_files(made: dict[Path, str], root: Path) -> list[Path]:
    """Those that are missing or differ, and schemas of this version that no model stands behind any more."""
    left_over = {path.relative_to(root) for path in (root / SCHEMAS).glob(f"*.{VERSION}.json")} - made.keys()
    differing = [path for path, text in made.items() if _committed(root / path) != text]
    return [*differing, *sorted(left_over)]


def broken_schemas(made: dict[Path, str], root: Path) -> list[str]:
    """What today's schemas refuse of the records that those on disk allow."""
    complaints = []
    for path in sorted((root / SCHEMAS).glob(f"*.{VERSION}.json")):
        relative = path.relative_to(root)
        if relative not in made:
            complaints.append(f"{relative}: the record type was removed")
            continue
        changes = breaking_changes(json.loads(path.read_text(encoding="utf-8")), json.loads(made[relative]))
        complaints += [f"{relative}: {change}" for change in changes]
    return complaints


def _committed(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _write(made: dict[Path, str], stale: Sequence[Path], root: Path) -> None:
    for path in stale:
        target = root / path
        if path not in made:
            target.unlink()
            print(f"removed {path}")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made[path], encoding="utf-8", newline="\n")
        print(f"wrote {path}")


def _complain(lines: Sequence[str]) -> int:
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
