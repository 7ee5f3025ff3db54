"""The live view: an investigation as it happens, one line for each thing worth knowing. A reading of the journal."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, OverflowMethod
from rich.markup import escape

from midwatch.builtin.weights import SHIFTED
from midwatch.reading.revisions import revision_lines
from midwatch.records import (
    Action,
    Conclusion,
    Decision,
    Gap,
    Health,
    Hypothesis,
    Incident,
    Plan,
    Scope,
    Steer,
    ToolCall,
    Verdict,
)
from midwatch.steering.steers import span
from midwatch.storage.journal import Entry
from midwatch_kit.records import Observation, ObservationKind, Record
from midwatch_kit.window import clock

_STYLES = {"supported": "bold red", "refuted": "green", "inconclusive": "yellow"}
_MARKS = {"supported": "●", "refuted": "✗", "inconclusive": "?"}
_SHOWN = 12
_REMEMBERED = 500
"""Investigations of which the view knows what it said; a host that is up for months has many more."""


@dataclass
class _Known:
    """What later lines of one investigation need: its hypotheses, and what was seen and asked in this look."""

    hypotheses: dict[str, Hypothesis] = field(default_factory=dict)
    shown: int = 0
    calls: int = 0


@dataclass
class LiveView:
    """Prints entries to a console as the journal appends them; add `show` to a journal's listeners.

    With `several` each line says whose it is: a terminal gets the end of the incident's id, which commands take, and a
    file the whole of it and of the time.
    """

    console: Console
    several: bool = False
    _known: dict[str, _Known] = field(default_factory=dict)

    def know(self, investigation: str, hypotheses: Iterable[Hypothesis]) -> None:
        """Take these for hypotheses of an investigation that were shown before."""
        self._of(investigation).hypotheses |= {hypothesis.id: hypothesis for hypothesis in hypotheses}

    def show(self, entry: Entry) -> None:
        """Print what an entry says, if it is worth a line."""
        value, known = entry.value(), self._of(entry.investigation)
        if isinstance(value, Hypothesis):
            known.hypotheses[value.id] = value
        if isinstance(value, ToolCall):
            known.calls += 1
        if line := self._line(value, known):
            narrow = self.console.is_terminal  # one line each for eyes, all of it for a file
            overflow: OverflowMethod = "ellipsis" if narrow else "ignore"
            text = f"[dim]{self._head(entry)}[/dim] {line}"
            self.console.print(text, highlight=False, no_wrap=True, overflow=overflow, crop=narrow)
        if isinstance(value, Conclusion):
            known.shown, known.calls = 0, 0

    def _of(self, investigation: str) -> _Known:
        if investigation not in self._known and len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        return self._known.setdefault(investigation, _Known())

    def _head(self, entry: Entry) -> str:
        if not self.several:
            return clock(entry.at)
        if self.console.is_terminal:
            return f"{clock(entry.at)} {entry.investigation[-4:]}"
        return f"{entry.at:%Y-%m-%dT%H:%M:%SZ} {entry.investigation}"

    def _line(self, value: Record, known: _Known) -> str | None:
        if isinstance(value, Scope):
            return self._scope(value)
        if isinstance(value, Observation):
            return self._observation(value, known)
        if isinstance(value, Verdict):
            return self._verdict(value, known)
        if isinstance(value, Conclusion):
            said = f"{value.outcome}: {escape(value.statement)} ({known.calls} tool calls)"
            between = "; " if self.several else f"\n{' ' * 21}"  # beside other incidents a line has to say whose it is
            changed = "".join(f"{between}{escape(line)}" for line in revision_lines(value))
            return f"[bold]{'conclusion':<11}[/bold] {said}{changed}"
        return next(
            (f"{_HEADS[shape]} {say(value)}" for shape, say in _LINES.items() if isinstance(value, shape)), None
        )

    def _scope(self, scope: Scope) -> str:
        services = sum(entity.kind == "service" for entity in scope.topology.entities)
        began = f"symptom began {clock(scope.onset)}" if scope.onset else "no shift in the symptom's own figures"
        told = f"; window {span(scope.window)}, {escape(scope.chosen)}" if scope.chosen else ""
        return f"[bold]scope[/bold]       {services} services, {len(scope.topology.relations)} relations; {began}{told}"

    def _observation(self, seen: Observation, known: _Known) -> str | None:
        quiet = seen.kind in (ObservationKind.NORMAL, ObservationKind.ABSENCE)
        if quiet or 0 < seen.score < SHIFTED or known.shown >= _SHOWN:
            return None
        known.shown += 1
        return f"[dim]{seen.signal:<9}[/dim]   {escape(seen.statement)}"

    def _verdict(self, verdict: Verdict, known: _Known) -> str:
        hypothesis = known.hypotheses.get(verdict.hypothesis)
        of = f"{hypothesis.kind} at {hypothesis.entity}" if hypothesis else verdict.hypothesis
        style, mark = _STYLES[verdict.result], _MARKS[verdict.result]
        return f"[{style}]{mark} {verdict.result:<9}[/{style}] {of}: {escape(verdict.reason)}"


_LINES: dict[type[Record], Callable[[Any], str]] = {
    Incident: lambda it: f"{escape(it.title)} — {it.status}",
    Hypothesis: lambda it: f"{it.kind} at {it.entity}: {escape(it.rationale)}",
    Steer: lambda it: f"{escape(it.by)}: {escape(it.text)}{f' → {escape(it.effect)}' if it.effect else ''}",
    Gap: lambda it: f"{escape(it.what)}: {escape(it.why)}",
    Plan: lambda it: f"{escape(it.action)}  [dim]{it.digest[:12]}[/dim]",
    Decision: lambda it: f"{'yes' if it.approved else 'no'}, by {escape(it.by)}",
    Action: lambda it: f"{it.outcome}: {escape(it.step)}",
    Health: lambda it: f"{it.when}: {escape(it.statement)}",
}
_HEADS = {shape: f"[bold]{shape.__name__.casefold():<11}[/bold]" for shape in _LINES}
