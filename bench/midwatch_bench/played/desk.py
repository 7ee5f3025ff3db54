"""Where played investigations lie: seats for those who play, and all else behind them.

A seat holds requests and answers and nothing that names a case. Which run is of which case, its telemetry, its journal
and its result lie behind.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from midwatch.accuracy.score import Truth
from midwatch.cases.manifest import Conditions
from midwatch_kit.records import Record

ENDED = "ended"
"""The file in a seat that says that nothing more is asked there."""


class Arm(StrEnum):
    """Who investigates, and how."""

    SURVEYS = "statistics first"
    NO_SURVEYS = "no surveys"
    HOLMES = "HolmesGPT"
    HOLMES_RAW = "HolmesGPT, no surveys"

    @property
    def is_holmes(self) -> bool:
        """Whether HolmesGPT investigates."""
        return self in (Arm.HOLMES, Arm.HOLMES_RAW)


class Run(Record):
    """One investigation that is to be played: its neutral name, the case and the arm."""

    name: str
    case: str
    arm: Arm

    @property
    def fault(self) -> str:
        """The case without its seed."""
        return self.case.rpartition("-")[0] or self.case


_RUNS = TypeAdapter(tuple[Run, ...])


@dataclass(frozen=True)
class Desk:
    """The two folders; `behind` is not for those who play."""

    behind: Path
    seats: Path

    @classmethod
    def at(cls, behind: Path) -> "Desk":
        """Return the desk that was prepared there; raises `FileNotFoundError` where none was."""
        return cls(behind, Path((behind / "seats.txt").read_text(encoding="utf-8").strip()))

    def prepared(self) -> tuple[Run, ...]:
        """Return all runs, in the order of their names."""
        path = self.behind / "runs.json"
        return _RUNS.validate_json(path.read_bytes()) if path.exists() else ()

    def add(self, cases: Iterable[str], arms: Sequence[Arm], times: int) -> list[Run]:
        """Add runs of these cases in all these arms, so many times each, in an order that says nothing."""
        known = self.prepared()
        pairs = [(case, arm) for case in cases for arm in arms for _ in range(times)]
        random.shuffle(pairs)
        new = [Run(name=f"r{len(known) + n:02}", case=case, arm=arm) for n, (case, arm) in enumerate(pairs, 1)]
        self.behind.mkdir(parents=True, exist_ok=True)
        (self.behind / "seats.txt").write_text(f"{self.seats.absolute()}\n", encoding="utf-8")
        (self.behind / "runs.json").write_bytes(_RUNS.dump_json((*known, *new), indent=1))
        for run in new:
            self.seat(run).mkdir(parents=True, exist_ok=True)
        return new

    def case(self, name: str) -> Path:
        """Return the folder of a case: its telemetry, its conditions and its truth."""
        return self.behind / "cases" / name

    def store(self, name: str) -> Path:
        """Return where a case's telemetry lies, as a snapshot."""
        return self.case(name) / "store"

    def conditions(self, name: str) -> Conditions:
        """Return under which conditions a case was investigated at first."""
        return Conditions.model_validate_json((self.case(name) / "conditions.json").read_bytes())

    def truth(self, name: str) -> Truth:
        """Return what is true of a case."""
        return Truth.model_validate_json((self.case(name) / "truth.json").read_bytes())

    def seat(self, run: Run) -> Path:
        """Return where a run is played."""
        return self.seats / run.name

    def work(self, run: Run) -> Path:
        """Return where a run keeps what it needs; nothing in the path says which case it is of."""
        return self.behind / "runs" / run.name

    def result(self, run: Run) -> Path:
        """Return where the result of a run lies, once it has ended."""
        return self.behind / "results" / f"{run.name}.json"

    def results(self) -> list[dict[str, Any]]:
        """Return the results that there are."""
        return [json.loads(path.read_bytes()) for path in sorted((self.behind / "results").glob("r*.json"))]
