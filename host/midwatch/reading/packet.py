"""The packet: what a person reads first, as plain text. A reading of the journal; it decides nothing.

`[E3]` names an observation; `evidence_index` gives each its evidence, so that every line can be looked up.
"""

from collections.abc import Iterable
from textwrap import shorten, wrap
from typing import TypeVar

from midwatch.reading.recommendations import learnt_from
from midwatch.reading.revisions import revision_lines
from midwatch.records import (
    Action,
    Conclusion,
    Decision,
    Gap,
    Health,
    Incident,
    Limit,
    Outcome,
    Plan,
    Scope,
    Status,
    Verdict,
)
from midwatch.records.runbook import Runbook
from midwatch.steering.steers import span
from midwatch.storage.journal import Journal
from midwatch_kit.records import EntityId
from midwatch_kit.window import clock
from midwatch_topology import Topology

ValueT = TypeVar("ValueT")
WHY_LIMITED = {
    Limit.CHANGES_UNKNOWN: "nobody could look who changed what",
    Limit.SIGNAL_UNREAD: "a signal that could name another cause could not be read",
    Limit.ONLY_READ: "it leads by what a model read, and no figure says so",
    Limit.HOUSE_RULE: "a house rule requires what is missing",
    Limit.SYMPTOM_UNMEASURED: "nobody measures how the symptom does, nor where failures begin",
    Limit.CALLEES_UNMEASURED: "nobody measures how those do whom it asks",
    Limit.TRACES_UNDECIDED: "there are traces, and nothing in them decides",
}
"""Why one is no surer of a cause than one is, in words."""
PLANNER = "the model: planner"
"""What a gap is of that is noted after the conclusion: a model that was to add to the plan."""
_MOST = 6
_WIDTH = 104


def packet(incident: Incident, journal: Journal, *, asks: bool = True) -> str:
    """Return an incident's packet, at most about fifty lines; `asks` says whether its plan can still be approved."""
    conclusion = _last(journal.values(incident.id, Conclusion))
    if conclusion is None:
        return f"Incident packet\nService: {incident.service}\n{incident.title}\nNo conclusion yet."
    index = evidence_index(incident, journal)
    lines = [
        "Incident packet",
        f"Service: {incident.service:<28}  Severity: {incident.severity}",
        f"First seen: {clock(incident.started_at)} UTC{'':<13}Outcome: {conclusion.outcome}{_confidence(conclusion)}",
        *_looked(incident, journal),
        *revision_lines(conclusion),
        *_causes(conclusion, index, journal, incident),
        *_ruled_out(conclusion, index),
        *_health(journal.values(incident.id, Health)),
        *_watched(incident),
        *_plan(incident, journal, asks=asks),
        *(
            f"Long-term fix: {r.title} (midwatch recommendations show {r.id})"
            for r in learnt_from(journal, incident.id)[:1]
        ),
        *(f"Not looked at: {gap.what}: {gap.why}" for gap in _few(conclusion.gaps)),
        *_runbooks(journal.values(incident.id, Runbook)),
        *(f"Next check: {check.what} ({check.cost})" for check in conclusion.next_checks),
        f"Evidence: midwatch report {incident.id} --check",
    ]
    return "\n".join(lines)


def drawn(investigation: str, journal: Journal) -> tuple[Topology, tuple[EntityId, ...]]:
    """Return the graph that an investigation looked at, and the path from the cause to the symptom; empty if none."""
    scope = _last(journal.values(investigation, Scope))
    conclusion = _last(journal.values(investigation, Conclusion))
    graph = Topology.merge({"journal": scope.topology}) if scope else Topology()
    path = conclusion.root_causes[0].path if conclusion and conclusion.root_causes else ()
    return graph, tuple(name for name in path if name in graph)


def evidence_index(incident: Incident, journal: Journal) -> dict[str, str]:
    """Return a short name (`E1`, `E2`, …) for each observation that the conclusion rests on, by its id."""
    conclusion = _last(journal.values(incident.id, Conclusion))
    if conclusion is None:
        return {}
    named = [name for cause in conclusion.root_causes for name in (*cause.supports, *cause.contradicts)]
    named += [name for out in conclusion.ruled_out for name in out.observations]
    return {name: f"E{number}" for number, name in enumerate(dict.fromkeys(named), start=1)}


def _looked(incident: Incident, journal: Journal) -> Iterable[str]:
    """Say which window a person chose, where one did."""
    if (scope := _last(journal.values(incident.id, Scope))) and scope.chosen:
        yield f"Window: {span(scope.window)} ({scope.chosen})"


def _causes(conclusion: Conclusion, index: dict[str, str], journal: Journal, incident: Incident) -> Iterable[str]:
    yield f"Conclusion: {conclusion.statement}"
    for cause in conclusion.root_causes:
        yield f"Root cause: {cause.kind} at {cause.entity}"
        if cause.trigger:
            files = cause.trigger.attributes.get("files")
            yield f"- {cause.trigger.statement}" + (f" in {files}" if files else "")
        if cause.limited_by:
            yield f"No surer than {cause.confidence:.2f}: {WHY_LIMITED[cause.limited_by]}"
        yield f"Path: {' → '.join(cause.path)}"
        yield "Because:"
        verdict = [v for v in journal.values(incident.id, Verdict) if v.hypothesis == cause.hypothesis][-1]
        for argument in sorted(verdict.arguments, key=lambda a: -a.weight)[:_MOST]:
            yield from _item(argument.text, argument.observations, index)
    if conclusion.impact:
        yield f"Impact: {conclusion.impact.statement}"


def _ruled_out(conclusion: Conclusion, index: dict[str, str]) -> Iterable[str]:
    if conclusion.ruled_out:
        yield "Ruled out:"
    for out in conclusion.ruled_out:
        yield f"- {shorten(out.statement, _WIDTH, placeholder='…')}"
        yield from _item(out.reason, out.observations, index, mark="  ")


def _item(text: str, rests_on: Iterable[str], index: dict[str, str], mark: str = "- ") -> list[str]:
    marks = ", ".join([index[name] for name in rests_on if name in index][:4])
    return wrap(f"{text}  [{marks}]" if marks else text, _WIDTH, initial_indent=mark, subsequent_indent="  ")


def _health(looks: list[Health]) -> Iterable[str]:
    before = next((look for look in looks if look.when == "before"), None)
    after = next((look for look in reversed(looks) if look.when != "before"), None)
    if before:
        yield f"Health before: {_share(before)} — {before.statement}"
    if after:
        yield f"Health after:  {_share(after)} — {after.statement}"


def _watched(incident: Incident) -> Iterable[str]:
    """Say what became of the symptom after the conclusion, where a watch has said so."""
    if incident.reason and incident.status in (Status.WATCHING, Status.RESOLVED):
        yield f"Since then {incident.status}: {incident.reason}"


def _plan(incident: Incident, journal: Journal, *, asks: bool) -> Iterable[str]:
    plan = _last(journal.values(incident.id, Plan))
    if plan is None:
        return
    yield f"Suggested next action: {plan.action}"
    yield from (
        f"No model had a part in it: {gap.why}" for gap in journal.values(incident.id, Gap) if gap.what == PLANNER
    )
    decision = _last(journal.values(incident.id, Decision))
    actions = journal.values(incident.id, Action)
    if asks and plan.steps and decision is None:
        yield f"Requires approval: midwatch approve {incident.id} {plan.digest[:12]}"
    if decision:
        yield decision.said
    latest = {action.step: action for action in actions}
    yield from (f"- {action.outcome}: {action.step}" for action in latest.values())


def _runbooks(found: list[Runbook]) -> Iterable[str]:
    for one in found[:_MOST]:
        where = one.link or f"{one.document} at {one.server}"
        yield f"{'Runbook' if one.named else 'May be a runbook'}: {one.title}, {where}"


def _share(look: Health) -> str:
    share = 100 * look.errors / look.requests if look.requests else 0.0
    return f"{look.errors} of {look.requests} requests failed ({share:.1f}%)"


def _confidence(conclusion: Conclusion) -> str:
    if conclusion.outcome in (Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT) and conclusion.root_causes:
        return f", confidence {conclusion.root_causes[0].confidence:.2f}"
    return ""


def _few(gaps: Iterable[Gap]) -> list[Gap]:
    return list({(gap.what, gap.why): gap for gap in gaps}.values())[:_MOST]


def _last(values: list[ValueT]) -> ValueT | None:
    return values[-1] if values else None
