"""The live view: an investigation as it happens, one line for each thing worth knowing. A reading of the journal."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape

from midwatch.journal import Entry
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
    ToolCall,
    Verdict,
)
from midwatch_kit.records import Observation, ObservationKind
from midwatch_kit.window import clock

_STYLES = {"supported": "bold red", "refuted": "green", "inconclusive": "yellow"}
_MARKS = {"supported": "●", "refuted": "✗", "inconclusive": "?"}
_SHOWN = 12


@dataclass
class LiveView:
    """Prints entries to a console as the journal appends them; add `show` to a journal's listeners."""

    console: Console
    _hypotheses: dict[str, Hypothesis] = field(default_factory=dict)
    _shown: int = 0
    _calls: int = 0

    def show(self, entry: Entry) -> None:
        """Print what an entry says, if it is worth a line."""
        value = entry.value()
        if isinstance(value, Hypothesis):
            self._hypotheses[value.id] = value
        if isinstance(value, ToolCall):
            self._calls += 1
        if line := self._line(value):
            self.console.print(f"[dim]{clock(entry.at)}[/dim] {line}", highlight=False, soft_wrap=True)

    def _line(self, value: object) -> str | None:  # noqa: PLR0911 - one line for each kind of record
        match value:
            case Incident():
                return f"[bold]incident[/bold]    {escape(value.title)} — {value.status}"
            case Scope():
                return self._scope(value)
            case Hypothesis():
                return f"[cyan]hypothesis[/cyan]  {value.kind} at {value.entity}: {escape(value.rationale[:110])}"
            case Observation():
                return self._observation(value)
            case Verdict():
                return self._verdict(value)
            case Gap():
                return f"[yellow]gap[/yellow]         {escape(value.what)}: {escape(value.why[:120])}"
            case Conclusion():
                return f"[bold]conclusion[/bold]  {value.outcome}: {escape(value.statement)} ({self._calls} tool calls)"
            case Plan():
                return f"[bold]plan[/bold]        {escape(value.action)}  [dim]{value.digest[:12]}[/dim]"
            case Decision():
                return f"[bold]decision[/bold]    {'yes' if value.approved else 'no'}, by {escape(value.by)}"
            case Action():
                return f"[bold]action[/bold]      {value.outcome}: {escape(value.step)}"
            case Health():
                return f"[bold]health[/bold]      {value.when}: {escape(value.statement)}"
        return None

    def _scope(self, scope: Scope) -> str:
        services = sum(entity.kind == "service" for entity in scope.topology.entities)
        began = f"symptom began {clock(scope.onset)}" if scope.onset else "no shift in the symptom's own figures"
        return f"[bold]scope[/bold]       {services} services, {len(scope.topology.relations)} relations; {began}"

    def _observation(self, seen: Observation) -> str | None:
        if seen.kind is ObservationKind.NORMAL or (seen.score and seen.score < 3) or self._shown >= _SHOWN:
            return None
        self._shown += 1
        return f"[dim]{seen.signal:<9}[/dim]   {escape(seen.statement)}"

    def _verdict(self, verdict: Verdict) -> str:
        hypothesis = self._hypotheses.get(verdict.hypothesis)
        of = f"{hypothesis.kind} at {hypothesis.entity}" if hypothesis else verdict.hypothesis
        style, mark = _STYLES[verdict.result], _MARKS[verdict.result]
        return f"[{style}]{mark} {verdict.result:<9}[/{style}] {of}: {escape(verdict.reason[:120])}"
