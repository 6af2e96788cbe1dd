"""The table, on the terminal and in `docs/performance.md`."""

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sources import ROOT

PAGE = ROOT / "docs" / "performance.md"
END = "<!-- end -->"


@dataclass(frozen=True)
class Figure:
    """One row: what was measured, what it must be, what it is, and how it came about."""

    name: str
    must: str
    measured: str
    holds: bool | None
    how: str

    @property
    def verdict(self) -> str:
        """Whether it holds; a comparison has nothing to hold."""
        return {True: "yes", False: "NO", None: ""}[self.holds]


def at_most(name: str, limit: float, value: float, how: str, unit: str = "") -> Figure:
    """A figure that may not be above its limit."""
    return Figure(name, f"<= {limit:g}{unit}", f"{value:.3g}{unit}", value <= limit, how)


def at_least(name: str, limit: float, value: float, how: str) -> Figure:
    """A figure that may not be below its limit."""
    return Figure(name, f">= {limit:g}", f"{value:.3g}", value >= limit, how)


def as_text(figures: Sequence[Figure]) -> str:
    """The rows for a terminal."""
    rows = [("figure", "must", "is", "holds"), *((f.name, f.must, f.measured, f.verdict) for f in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def as_markdown(figures: Sequence[Figure]) -> str:
    """The rows for the page."""
    head = ["| figure | must | is | holds | how |", "|---|---|---|---|---|"]
    rows = [f"| {f.name} | {f.must} | {f.measured} | {f.verdict} | {f.how} |" for f in figures]
    return "\n".join([*head, *rows])


def machine() -> str:
    """What this was measured on, and which state of the code."""
    model = next((_value(line) for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    commit = _git("rev-parse", "--short", "HEAD") + (" with changes" if _git("status", "--porcelain") else "")
    cores = f"{os.cpu_count()} cores, {model}, {platform.system()}"
    return f"{cores}; commit {commit}; load before the run {os.getloadavg()[0]:.1f}"


def _value(line: str) -> str:
    return line.partition(":")[2].strip()


def _lines(path: str) -> Iterable[str]:
    return Path(path).read_text().splitlines()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def write_table(program: str, date: str, where: str, figures: Sequence[Figure], page: Path = PAGE) -> None:
    """Put the table of a program into the page, between its two marks; what people wrote around stays.

    Rows of the same name are replaced; those that were not measured this time stay, after the others.
    """
    begin = f"<!-- begin: written by tests/bench/{program}.py -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise LookupError(f"{page} has no line {begin}")
    old, _, after = rest.partition(END)
    names = {figure.name for figure in figures}
    older = [row for row in old.splitlines()[5:] if row.split("|")[1].strip() not in names]
    told = f"Measured {date} on {where}." + (f" The last {len(older)} rows are older." if older else "")
    table = "\n".join([begin, told, "", as_markdown(figures), *older, END])
    page.write_text(f"{before}{table}{after}", encoding="utf-8")
