"""What a model reports, made into observations: whatever its quote does not stand for is dropped and counted.

A report says what was read and which way it speaks; it says nothing of how much it weighs. That is settled in
`builtin.arguments.readings`, the same for every model.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import JsonValue

from midwatch.claude.agent import Ability
from midwatch.claude.conversation import Told
from midwatch.claude.masking import Mask
from midwatch.claude.shelf import Shelf
from midwatch.claude.untrusted import visible
from midwatch.inquiry import Inquiry
from midwatch.records import Hypothesis
from midwatch_kit.records import Observation, ObservationKind, Signal

BEARINGS: Final = ("supports", "refutes")
_LONGEST: Final = 200
_SIGNALS: Final = {"logs": Signal.LOGS, "metrics": Signal.METRICS, "traces": Signal.TRACES, "deploys": Signal.CHANGES}

_FINDING: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "statement": {"type": "string", "description": "one sentence: what is so, of what, since when"},
        "bearing": {"type": "string", "enum": [*BEARINGS], "description": "which way it speaks for the hypothesis"},
        "evidence": {"type": "string", "description": "the result that says so, as E7"},
        "quote": {"type": "string", "description": "copied exactly from one field of it"},
        "since": {"type": "string", "description": "RFC 3339, when it says since when"},
    },
    "required": ["statement", "bearing", "evidence", "quote"],
}
_FINISH: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"why": {"type": "string", "description": "one sentence: what decided it, or what is missing"}},
    "required": ["why"],
}


@dataclass
class Reporting:
    """What one model found about one hypothesis; `dropped` counts what did not stand."""

    by: str
    hypothesis: Hypothesis
    inquiry: Inquiry
    shelf: Shelf
    mask: Mask
    found: list[Observation] = field(default_factory=list)
    dropped: int = 0
    why: str = ""

    def abilities(self) -> list[Ability]:
        """Return what is reported with."""
        return [
            Ability(
                "report_finding", "One thing you read that decides something, with its quote.", _FINDING, self._report
            ),
            Ability("finish", "End your test, after your reports.", _FINISH, self._finish),
        ]

    async def _report(self, told: Mapping[str, JsonValue]) -> Told:
        statement, quote, name = (_text(told, key) for key in ("statement", "quote", "evidence"))
        if not statement or told.get("bearing") not in BEARINGS:
            return Told(f"a finding needs a statement and a bearing, one of {', '.join(BEARINGS)}", failed=True)
        citation = self.shelf.cite(name, self.mask.unmasked(quote))
        if citation is None:
            self.dropped += 1
            return Told(f"dropped: {self._fault(name, quote)}", failed=True)
        key = f"{self.hypothesis.id}|{citation.evidence}|{citation.where}|{told['bearing']}"
        seen = Observation(
            id=hashlib.sha256(f"reading|{key}".encode()).hexdigest()[:26],
            entity=self.hypothesis.entity,
            signal=_SIGNALS.get(self.shelf.tool_of(name).partition(".")[0], Signal.STATE),
            kind=ObservationKind.READING,
            subject="reading",
            statement=self._as_told(statement, name),
            onset=_moment(_text(told, "since")),
            attributes={"hypothesis": self.hypothesis.id, "bearing": str(told["bearing"])},
            citations=(citation,),
            by=self.by,
        )
        self.found += self.inquiry.checked([seen])
        return Told("on record")

    def _as_told(self, statement: str, name: str) -> str:
        """Return a statement, with the figures in it of which the evidence knows nothing named at its end."""
        said = visible(self.mask.unmasked(statement))
        if missing := self.shelf.figures_without(name, said):
            doubt = f" (not in the evidence: {', '.join(missing)})"
            return f"{said[: _LONGEST - len(doubt)]}{doubt}"[:_LONGEST]
        return said[:_LONGEST]

    def _fault(self, name: str, quote: str) -> str:
        if self.shelf.id_of(name) is None:
            return f"there is no evidence {name!r}: names are those in brackets before results"
        return f"{name} does not say {quote[:80]!r}: copy a few words from one field of it, exactly"

    async def _finish(self, told: Mapping[str, JsonValue]) -> Told:
        self.why = _text(told, "why")[:_LONGEST]
        return Told("", over=True)


def _text(told: Mapping[str, JsonValue], key: str) -> str:
    value = told.get(key)
    return value.strip() if isinstance(value, str) else ""


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None
