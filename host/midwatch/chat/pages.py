"""An investigation's records as a model may read them: a few kinds of pages, each row with the number of its record.

What a model was shown it can cite by that number, with a quote that is looked up in the record as it was written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue

from midwatch.chat.handles import DIGITS
from midwatch.claude.quoting import cited
from midwatch.claude.shelf import Shelf
from midwatch.claude.untrusted import shortened
from midwatch.records import RecordType
from midwatch.records.message import Statement
from midwatch.storage.journal import Entry
from midwatch_kit.records import Citation, Observation

PAGES: Final[Mapping[str, tuple[RecordType, ...]]] = {
    "incident": ("incident", "topology"),
    "observations": ("observation",),
    "hypotheses": ("hypothesis", "verdict"),
    "conclusion": ("conclusion",),
    "gaps": ("gap",),
    "plan": ("plan", "decision", "action", "health"),
    "steers": ("steer", "feedback"),
    "calls": ("tool_call", "model_call", "budget"),
    "messages": ("message", "report"),
}
READ_JOURNAL: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "page": {"type": "string", "enum": [*PAGES]},
        "text": {"type": "string", "description": "only records with this text, in any case"},
        "skip": {"type": "integer", "minimum": 0, "description": "records to pass over"},
    },
    "required": ["page"],
}
_LONGEST: Final = 1_200
_PAGE_CHARS: Final = 6_000
_LEFT_OUT: Final = frozenset(
    {"citations", "observations", "supports", "contradicts", "exemplars", "packet", "raw", "prior"}
)
"""Ids, and what says nothing in words: who wants it reads the record."""


@dataclass
class Pages:
    """The records of an investigation, in order; `shown` are the numbers of those that a model has seen."""

    entries: Sequence[Entry]
    shelf: Shelf
    shown: set[int] = field(default_factory=set)
    _handles: dict[str, str] = field(default_factory=dict)

    def read(self, page: str, text: str, skip: int) -> tuple[str, list[str]]:
        """Return the head of a page and its rows, as many as fit; raises `KeyError` for a page that there is not."""
        kinds = PAGES[page]
        every = [entry for entry in self.entries if entry.type in kinds]
        rows = [(entry.seq, self._row(entry.type, entry.seq, entry.body)) for entry in every]
        rows = [(number, row) for number, row in rows if text.casefold() in row.casefold()]
        lines: list[str] = []
        left = _PAGE_CHARS
        for number, row in rows[skip:]:
            line = shortened(row, _LONGEST)
            if (left := left - len(line) - 1) < 0 and lines:
                break
            lines.append(line)
            self.shown.add(number)
        return f"{page}: records {skip + 1} to {skip + len(lines)} of {len(rows)}", lines

    def show(self, statements: Iterable[Statement]) -> None:
        """Let what these statements rest on be read on and cited: it is shown with them, by its short names."""
        for statement in statements:
            for evidence in (*(each.evidence for each in statement.citations), *statement.evidence):
                self._handles[evidence[:DIGITS]] = self.shelf.put(evidence, "")
            self.shown |= {number for number in statement.records if not statement.incident}

    def cite(self, name: str, quote: str) -> Citation | int | None:
        """Return the place, or the number of the record, in which a quote stands that a model gives; None for none."""
        source = name.strip().strip("[]")
        known = self._handles.get(source[:DIGITS])
        if known or source[:1].upper() == "E":
            return self.shelf.cite(known or source, quote)
        number = int(source[1:]) if source[:1].casefold() == "r" and source[1:].isdecimal() else 0
        if number not in self.shown:
            return None
        entry = self.entries[number - 1]
        return number if cited("record", entry.body, quote) else None

    def statement(self, text: str, found: Citation | int) -> Statement:
        """Return a line that rests on what was found."""
        if isinstance(found, Citation):
            return Statement(text=text, citations=(found,))
        value = self.entries[found - 1].value()
        cited_there = value.citations[:1] if isinstance(value, Observation) else ()
        return Statement(text=text, citations=cited_there, records=(found,))

    @property
    def persons(self) -> list[str]:
        """Return who is named as a person in what was observed."""
        told = (entry.body.get("attributes") for entry in self.entries if entry.type == "observation")
        return [str(each["author"]) for each in told if isinstance(each, dict) and "author" in each]

    def _row(self, kind: RecordType, number: int, body: Mapping[str, JsonValue]) -> str:
        named = self._named(kind, body)
        told = "; ".join(f"{name}: {_flat(value)}" for name, value in _telling(body))
        return f"r{number} {kind}{f' [{named}]' if named else ''} {told}"

    def _named(self, kind: RecordType, body: Mapping[str, JsonValue]) -> str:
        """Return the short names of the documents that a record rests on, which can be read on then."""
        if kind == "tool_call" and isinstance(evidence := body.get("evidence"), dict):
            return self.shelf.put(str(evidence.get("id")), f"{body.get('server')}.{body.get('tool')}")
        told = body.get("citations")
        names = [str(c["evidence"]) for c in told if isinstance(c, dict)] if isinstance(told, list) else []
        return ", ".join(dict.fromkeys(self.shelf.put(name, str(body.get("by", ""))) for name in names))


def _flat(value: JsonValue) -> str:
    """Return a value in words, so that what is quoted of it stands in one of its fields."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={_flat(each)}" for name, each in _telling(value))
    if isinstance(value, list):
        return " | ".join(map(_flat, value))
    return str(value)


def _telling(fields: Mapping[str, JsonValue]) -> list[tuple[str, JsonValue]]:
    return [(name, value) for name, value in fields.items() if value and name not in _LEFT_OUT]
