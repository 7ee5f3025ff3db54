"""What the contract check says: a verdict for each rule, and a report of them all. Nothing here asks anything."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from pydantic import JsonValue

_MOST_FAULTS = 4


class Mark(StrEnum):
    """How a rule stands."""

    KEPT = "✓"
    BROKEN = "✗"
    UNTRIED = "–"  # noqa: RUF001 - the dash that people read as "no answer"


@dataclass(frozen=True)
class Verdict:
    """One line: the rule, how it stands, what was seen, and what to do if it is broken."""

    rule: str
    mark: Mark
    seen: str
    do: str = ""

    def __str__(self) -> str:
        return f"{self.mark} {self.rule}: {self.seen}" + (f" → {self.do}" if self.do else "")


@dataclass(frozen=True)
class Rule:
    """One thing that the contract asks for, and what to do where it is broken."""

    name: str
    do: str

    def judged(self, faults: Sequence[str], seen: str) -> Verdict:
        """Return the verdict: broken by any fault, else kept, as what was seen says."""
        if not faults:
            return Verdict(self.name, Mark.KEPT, seen)
        shown = list(dict.fromkeys(faults))
        more = f"; and {len(shown) - _MOST_FAULTS} more" if len(shown) > _MOST_FAULTS else ""
        return Verdict(self.name, Mark.BROKEN, "; ".join(shown[:_MOST_FAULTS]) + more, self.do)

    def untried(self, why: str) -> Verdict:
        """Return that it could not be tried, and why."""
        return Verdict(self.name, Mark.UNTRIED, why)


@dataclass(frozen=True)
class Report:
    """What was found of one server; `pins` are its tools that can be allowed, as a servers file names them."""

    target: str
    verdicts: tuple[Verdict, ...]
    pins: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether no rule is broken."""
        return all(verdict.mark is not Mark.BROKEN for verdict in self.verdicts)

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs; marks are `kept`, `broken` and `untried`."""
        rules: list[JsonValue] = [{**asdict(v), "mark": v.mark.name.lower()} for v in self.verdicts]
        return {"target": self.target, "reached": True, "kept": self.kept, "rules": rules, "allow": [*self.pins]}
