"""A small application, and alerts about it, for the specification of correlation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from midwatch.correlation import (
    AlertRules,
    ByHand,
    Circumstances,
    Decision,
    Neighbourhood,
    Ongoing,
    Rules,
    decide,
)
from midwatch.records import Alert, Severity, Status
from midwatch.settings.correlation import CorrelationSettings
from midwatch_kit.records import Basis, Relation, TopologyFragment
from midwatch_topology import Topology

NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
CALLS = "web>cart web>search cart>stock cart>prices stock>db prices>db mail>queue-svc blog>cms shop>web till>web"
"""Who calls whom; `mail` and `blog` have nothing to do with the rest."""


def at(minutes: float) -> datetime:
    """Return a moment so many minutes after NOW."""
    return NOW + timedelta(minutes=minutes)


def an_alert(name: str, service: str, minutes: float = 0, title: str = "", **fields: object) -> Alert:
    """Return an alert that began so many minutes after NOW; its title is about errors unless told otherwise."""
    said = {"source": "test", "external_id": name, "title": title or f"Error rate of {service}", **fields}
    severity = fields.get("severity", Severity.HIGH)
    one = {"id": f"{name}@{minutes:g}", "service": service, "started_at": at(minutes), "severity": severity}
    return Alert.model_validate({**one, **said})


def neighbourhood(calls: str = CALLS) -> Neighbourhood:
    """Return an application by `a>b` for a calls b."""
    pairs = [pair.split(">") for pair in calls.split()]
    relations = tuple(
        Relation(
            source=f"service:{one}", kind="calls", target=f"service:{other}", basis=Basis.OBSERVED, learnt_from="test"
        )
        for one, other in pairs
    )
    return Neighbourhood(Topology.merge({"test": TopologyFragment(relations=relations)}))


@dataclass
class Desk:
    """Decides and remembers, one alert after the other, as the reception does."""

    area: Neighbourhood = field(default_factory=neighbourhood)
    rules: Rules = field(default_factory=Rules)
    ongoing: Ongoing = field(default_factory=Ongoing)
    settings: CorrelationSettings = field(default_factory=CorrelationSettings)
    parts: dict[str, str | None] = field(default_factory=dict)
    """The incident of each alert, by its id, as it was decided."""

    def receive(self, alert: Alert, minutes: float | None = None, *, over: bool = False) -> Decision:
        """Return what becomes of an alert that comes so many minutes after NOW, by default as it begins."""
        if over:
            ended = None if minutes is None else at(minutes)
            alert = alert.model_copy(update={"action": "resolved", "ended_at": ended})
        now = alert.started_at if minutes is None else at(minutes)
        decision = decide(alert, Circumstances(self.ongoing, self.area, self.rules, self.settings, now))
        if over:
            self.ongoing.resolve(alert, now)
            return decision
        marks = self.rules.marks(alert)
        self.ongoing.learn(alert, decision.incident, self.area, marks, now, joins=decision.joins)
        for merged in decision.merges:
            self.ongoing.join(merged, decision.incident or "")
        self.parts.setdefault(alert.id, decision.incident)
        return decision

    def becomes(self, incident: str | None, status: Status, minutes: float) -> None:
        """Let an incident have a status from a moment on."""
        self.ongoing.settle(incident or "", status, at(minutes))

    def together(self) -> set[frozenset[str]]:
        """Return which alerts are of one incident, by their ids."""
        found: dict[str, set[str]] = {}
        for alert, incident in self.parts.items():
            if incident:
                found.setdefault(self.ongoing.target(incident), set()).add(alert)
        return {frozenset(alerts) for alerts in found.values()}

    def by_hand(self, **decisions: Iterable[object]) -> None:
        """Let people have decided something."""
        self.ongoing.by_hand = ByHand(**{name: frozenset(said) for name, said in decisions.items()})  # type: ignore[arg-type]


def rules(said: Mapping[str, object], services: tuple[str, ...] = ()) -> Rules:
    """Return the rules of one steering file."""
    return Rules([("house", services, AlertRules.model_validate(said))])
