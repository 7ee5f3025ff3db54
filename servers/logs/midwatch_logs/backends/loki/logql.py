"""LogQL: the text of what is asked, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from midwatch_kit.logs.backend import Around, Filter
from midwatch_logs.remote import level_words, literal, readable_pattern

_UNITS: Final = (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1))


@dataclass(frozen=True)
class Names:
    """Which labels (or structured metadata) say who wrote a line and how bad it is; the first that is there counts."""

    service: str
    instances: Sequence[str]
    levels: Sequence[str]
    trace: str

    @property
    def of_writers(self) -> list[str]:
        """All labels that a writer and a level may be told by."""
        return list(dict.fromkeys([self.service, *self.instances, *self.levels]))


class LogQl:
    """Writes queries for one layout of labels, all within `selector` (matchers without braces; empty: everything)."""

    def __init__(self, names: Names, selector: str) -> None:
        self._names = names
        self._selector = selector

    def streams(self, services: Sequence[str] = ()) -> str:
        """A stream selector of these services; every stream when there are none."""
        of = one_of(services) if services else ".+"
        parts = [self._selector, f"{self._names.service}=~{quoted(of)}"]
        return "{" + ", ".join(part for part in parts if part) + "}"

    def lines(self, wanted: Filter | Around) -> str:
        """The lines that match."""
        if isinstance(wanted, Around):
            services = sorted({service for service, _ in wanted.writers})
            pairs = [f"({self._names.service}={quoted(s)} and {self._instance([i])})" for s, i in wanted.writers]
            return f"{self.streams(services)} | {' or '.join(pairs)}"
        parts = [self.streams(wanted.services if not wanted.instances else ())]
        if wanted.text:
            pattern = readable_pattern(wanted.text) if wanted.regex else f"(?i){literal(wanted.text)}"
            parts.append(f"|~ {quoted(pattern)}")
        if wanted.instances:
            whose = [self._instance(wanted.instances)]
            whose += [f"{self._names.service}=~{quoted(one_of(wanted.services))}"] if wanted.services else []
            parts.append(f"| {' or '.join(whose)}")
        if wanted.severity:
            parts.append(f"| {self._level(wanted.severity)}")
        return " ".join(parts)

    def of_trace(self, trace_id: str) -> str:
        """The lines that carry a trace id among their labels."""
        return f"{self.streams()} | {self._names.trace}={quoted(trace_id)}"

    def containing(self, text: str) -> str:
        """The lines that contain a text, as it is."""
        return f"{self.streams()} |= {quoted(text)}"

    def counted(self, lines: str, by: Sequence[str], length: int, offset: int = 0) -> str:
        """How many lines there are in the `length` ns before each moment, which `offset` ns shift back."""
        shift = f" offset {duration(offset)}" if offset else ""
        grouping = f" by ({', '.join(by)})" if by else ""
        return f"sum{grouping} (count_over_time({lines} [{duration(length)}]{shift}))"

    def _instance(self, instances: Sequence[str]) -> str:
        return self._first_of(self._names.instances, one_of(instances))

    def _level(self, severity: int) -> str:
        patterns = [f"{word}.*" for word in level_words(severity)]
        return self._first_of(self._names.levels, f"(?i)({'|'.join(patterns)})")

    def _first_of(self, labels: Sequence[str], pattern: str) -> str:
        """The first of the labels that is there matches; a line has none where the pattern takes the empty text."""
        if pattern == "":
            return "(" + " and ".join(f'{label}=""' for label in labels) + ")"
        either = []
        for number, label in enumerate(labels):
            absent = [f'{before}=""' for before in labels[:number]]
            either.append("(" + " and ".join([*absent, f"{label}=~{quoted(pattern)}"]) + ")")
        return "(" + " or ".join(either) + ")"


def duration(ns: int) -> str:
    """A length of time as LogQL writes it, exactly."""
    unit, size = next((unit, size) for unit, size in _UNITS if ns % size == 0)
    return f"{ns // size}{unit}"


def one_of(names: Sequence[str]) -> str:
    """A regular expression that takes exactly these names."""
    return "|".join(literal(name) for name in names)


def quoted(text: str) -> str:
    """A text as a string of LogQL."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + plain.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
