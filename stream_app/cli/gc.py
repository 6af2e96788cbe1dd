"""`clipfold gc`: free the disk of what is kept no longer."""

import asyncio
from collections import defaultdict
from typing import Annotated, Any

import typer

from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import exit_codes
from stream_app.cli.output import AsJson, note, print_json, print_table
from stream_app.retention.collect import collect
from stream_app.retention.garbage import Found
from stream_app.settings import Settings


def gc(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what is kept no longer (RENDER_KEEP_*): unused clips, leftovers, and videos if so set."""
    with exit_codes():
        removed = asyncio.run(collect(with_kafka(Settings()), dry_run=dry_run))
        total = sum(each.bytes for each in removed)
        if as_json:
            print_json({"dry_run": dry_run, "bytes": total, "removed": [_facts(each) for each in removed]})
            return
        for each in removed:
            print(f"{each.kind}  {each.bytes}  {each.path}")
        if removed:
            print_table(("kind", "count", "bytes"), _sums(removed))
        word = "would be removed" if dry_run else "were removed"
        note(f"{len(removed)} files and folders {word}, {total} bytes")


def _facts(found: Found) -> dict[str, Any]:
    return {"kind": found.kind, "path": str(found.path), "bytes": found.bytes}


def _sums(removed: list[Found]) -> list[tuple[str, int, int]]:
    sizes: dict[str, list[int]] = defaultdict(list)
    for each in removed:
        sizes[each.kind].append(each.bytes)
    return [(kind, len(each), sum(each)) for kind, each in sorted(sizes.items())]
