"""What an investigation has read, by short names: a model speaks of E7, the journal of the hash of its bytes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import JsonValue

from midwatch.claude.quoting import cited, figures_without
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore, value_at
from midwatch_kit.records import Citation, Record


class Shelved(Record):
    """One document of the shelf: who gave it, what was asked for, and where its lines are, as they were shown."""

    evidence: str
    tool: str
    about: str = ""
    as_shown: str = ""


@dataclass
class Shelf:
    """The documents that models have been shown; what they were not shown they cannot cite."""

    kept: EvidenceStore
    _names: dict[str, str] = field(default_factory=dict)
    _tools: dict[str, str] = field(default_factory=dict)
    _about: dict[str, str] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    _as_shown: dict[str, str] = field(default_factory=dict)

    def put(self, evidence: str, tool: str, about: str = "") -> str:
        """Return the short name of a document that a tool gave; `about` says in a line what was asked for."""
        name = self._names.setdefault(evidence, f"E{len(self._names) + 1}")
        self._tools.setdefault(name, tool)
        if about:
            self._about.setdefault(name, f"{name}  {about}")
        return name

    @property
    def listed(self) -> list[Shelved]:
        """The documents in the order of their names."""
        return [
            Shelved(
                evidence=evidence,
                tool=self._tools[name],
                about=self._about.get(name, ""),
                as_shown=self._as_shown.get(name, ""),
            )
            for evidence, name in self._names.items()
        ]

    def fill(self, listed: Iterable[Shelved]) -> None:
        """Put documents on the shelf as they were on another, under the same names; it has to be empty."""
        for each in listed:
            name = self.put(each.evidence, each.tool)
            if each.about:
                self._about[name] = each.about
            if each.as_shown:
                self._as_shown[name] = each.as_shown

    def told(self, name: str, text: str, as_shown: str = "") -> None:
        """Keep how a document was shown at first; `as_shown` is the id under which its lines are kept, as rows.

        A server's lines say what its rows say, in other words: either can be quoted.
        """
        self._told.setdefault(name, text)
        if as_shown:
            self._as_shown.setdefault(name, as_shown)

    def as_told(self, name: str) -> str:
        """Return how a document was shown at first; '' for one that was not."""
        return self._told.get(_plain(name), "")

    @property
    def looked_at(self) -> list[str]:
        """What was looked at so far, a line each, in order."""
        return [*self._about.values()]

    def id_of(self, name: str) -> str | None:
        """Return the id of the document with a short name."""
        return next((evidence for evidence, short in self._names.items() if short == _plain(name)), None)

    def tool_of(self, name: str) -> str:
        """Return which tool gave the document with a short name, as server.tool."""
        return self._tools.get(_plain(name), "")

    def cite(self, name: str, quote: str) -> Citation | None:
        """Return a citation of what a document says; None when there is no such document, or it says no such thing."""
        forms = (quote, _unescaped(quote))  # rows are shown as JSON, with its escapes
        try:
            tried = (cited(each, self._document(each), form) for each in self._ids_of(name) for form in forms)
            return next((found for found in tried if found), None)
        except RecursionError:  # it is nested deeper than anything that a person reads
            return None

    def figures_without(self, name: str, statement: str) -> list[str]:
        """Return the figures of a statement that stand nowhere in the document with a short name."""
        try:
            return figures_without([self._document(each) for each in self._ids_of(name)], statement)
        except RecursionError:
            return []

    def _ids_of(self, name: str) -> list[str]:
        """Return the id of a document, and that of its lines as they were shown."""
        ids = (self.id_of(name), self._as_shown.get(_plain(name)))
        return [each for each in ids if each]

    def lines(self, name: str, text: str) -> list[str]:
        """Return the rows of a document that have a text in them, in any case, each as JSON; all for an empty text.

        Raises `KeyError` for a name that was never given.
        """
        if (evidence := self.id_of(name)) is None:
            raise KeyError(name)
        try:
            return self.kept.grep(evidence, text)
        except KitError:
            return []

    def text_at(self, name: str, where: str) -> str:
        """Return the text that stands at a place (RFC 6901) of a document, or its lines there; raises `KitError`."""
        value = value_at(json.loads(self.kept.get(self.id_of(name) or "")), where)
        lines = value if isinstance(value, list) else [value]
        return "\n".join(line for line in lines if isinstance(line, str))

    def documents(self) -> list[JsonValue]:
        """Return the rows of every document that was shown."""
        return [self._document(evidence) for evidence in self._names]

    def _document(self, evidence: str) -> JsonValue:
        try:
            document = json.loads(self.kept.get(evidence))
        except (KitError, ValueError, RecursionError):
            return None
        rows: JsonValue = {"rows": document.get("rows", [])} if isinstance(document, dict) else None
        return rows


def _plain(name: str) -> str:
    """Return a short name as it was given, however a model writes it."""
    return name.strip().strip("[]").upper()


def _unescaped(quote: str) -> str:
    """Return what a piece of a JSON text says; '' for one that is no such piece."""
    try:
        told = json.loads(f'"{quote}"')
    except ValueError:
        return ""
    return told if isinstance(told, str) else ""
