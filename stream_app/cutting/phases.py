"""What an attempt does one after the other, and when each began."""

from dataclasses import dataclass, field

from stream_app.clock import Clock


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of an attempt, in ms since 1970-01-01 UTC."""

    name: str
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class Phases:
    """The parts of an attempt so far; each ends where the next one begins."""

    clock: Clock
    _begun: list[tuple[str, int]] = field(default_factory=list)

    def begin(self, name: str, *, ago_ms: int = 0) -> None:
        """The attempt does something else now, or has for `ago_ms`."""
        at_ms = self.clock() - ago_ms
        earliest = self._begun[-1][1] if self._begun else at_ms
        self._begun.append((name, max(at_ms, earliest)))

    def until(self, end_ms: int) -> list[Phase]:
        """All of them, the last one ending at `end_ms`."""
        ends = [*(start for _, start in self._begun[1:]), end_ms]
        return [
            Phase(name, start, max(start, end)) for (name, start), end in zip(self._begun, ends, strict=True)
        ]

    def durations_ms(self, end_ms: int) -> dict[str, int]:
        """How long each kind of work took in all, as `fetch_ms` and so on."""
        totals: dict[str, int] = {}
        for phase in self.until(end_ms):
            key = f"{phase.name}_ms"
            totals[key] = totals.get(key, 0) + phase.end_ms - phase.start_ms
        return totals
