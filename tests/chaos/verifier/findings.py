"""What breaks a promise, and by which record."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["lost", "invented", "wrong"]
PROMISES = {
    "I1": "accepted => exactly one effective end",
    "I2": "every line has exactly one effective outcome",
    "I3": "every event names its cause",
    "I4": "the projection equals the log",
    "I5": "media is what the event says",
    "I6": "work goes on after a fault",
}


@dataclass(frozen=True)
class Finding:
    """One broken promise; `record` is the record or file that breaks it."""

    promise: str
    kind: Kind
    record: str
    message: str


@dataclass
class Findings:
    """All that was checked and all that was found."""

    found: list[Finding] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def check(self, promise: str, kind: Kind, record: str, message: str, *, holds: bool) -> bool:
        """Note that something was looked at, and what it breaks if it does not hold."""
        self.checked[promise] += 1
        if not holds:
            self.found.append(Finding(promise, kind, record, message))
        return holds

    def count(self, kind: Kind) -> int:
        return sum(each.kind == kind for each in self.found)

    def table(self) -> Iterator[str]:
        yield f"{'':4}{'promise':48}{'checked':>9}{'broken':>8}"
        for name, words in PROMISES.items():
            broken = sum(each.promise == name for each in self.found)
            yield f"{name:4}{words:48}{self.checked[name]:>9}{broken:>8}"
        for each in self.found:
            yield f"{each.promise} {each.kind}: {each.record}: {each.message}"
