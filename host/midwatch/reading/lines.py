"""An incident's records in plain lines: where it stands, its conclusion, its plan. It decides nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator

from midwatch.mitigation.approvals import decision_on, plan_text
from midwatch.reading.revisions import revision_lines
from midwatch.records import (
    Action,
    Cause,
    Conclusion,
    Hypothesis,
    Incident,
    Plan,
    Report,
    Status,
    Steer,
)
from midwatch.steering.steers import look_of, unheeded
from midwatch.storage.journal import Entry, Journal
from midwatch_kit.records import Observation
from midwatch_kit.window import rfc3339

_MOST_QUOTES = 2
_MOST_QUOTE = 80


def stands(journal: Journal, incident: Incident, *, runs: bool) -> list[str]:
    """Return where an incident stands, how many records of each type it has, and what a person can do next."""
    counts = Counter(entry.type for entry in journal.entries(incident.id))
    conclusions = journal.values(incident.id, Conclusion)
    lines = [
        f"{incident.id}  {incident.title}",
        f"service {incident.service}, severity {incident.severity}, since {rfc3339(incident.started_at)}",
        f"status {incident.status}{f': {incident.reason}' if incident.reason else ''}",
        f"look {look_of(journal, incident.id)}; {'runs in this process' if runs else 'does not run in this process'}",
        f"records: {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}",
        *(f"conclusion: {conclusion.outcome}: {conclusion.statement}" for conclusion in conclusions[-1:]),
        *_told(journal, incident),
    ]
    if not runs and is_unfinished(journal, incident):
        lines.append(f"It is unfinished: continue_investigation {incident.id} goes on with it.")
    return lines


def is_unfinished(journal: Journal, incident: Incident) -> bool:
    """Return whether the incident's latest look has no report yet."""
    return journal.recall(incident.id, "report", str(look_of(journal, incident.id)), Report) is None


def in_a_line(journal: Journal, incident: Incident, *, runs: bool) -> str:
    """Return an incident in a line: id, status, service, title, and whether it waits for somebody to go on with it."""
    waits = "" if runs or not is_unfinished(journal, incident) else "  [unfinished: continue_investigation]"
    return f"{incident.id}  {incident.status}  {incident.service}  {incident.title}{waits}"


def conclusion_lines(journal: Journal, investigation: str) -> list[str]:
    """Return the latest conclusion, cause by cause, with what was ruled out and what is missing."""
    conclusions = journal.values(investigation, Conclusion)
    if not conclusions:
        return ["There is no conclusion yet."]
    last = conclusions[-1]
    seen = {o.id: o for o in journal.values(investigation, Observation)}
    earlier = [f"An earlier look said: {each.outcome}: {each.statement}" for each in conclusions[:-1]]
    return [
        f"{last.outcome}: {last.statement}",
        *revision_lines(last),
        *(line for cause in last.root_causes for line in _cause("root cause", cause, seen)),
        *(line for cause in last.contributing for line in _cause("contributing", cause, seen)),
        *([f"impact: {last.impact.statement}"] if last.impact else []),
        *(f"ruled out: {out.statement}: {out.reason}" for out in last.ruled_out),
        *missing_lines(last),
        *earlier,
    ]


def missing_lines(conclusion: Conclusion) -> list[str]:
    """Return what could not be looked at, and which checks would help."""
    return [
        *(f"not looked at: {gap.what}: {gap.why}; may hide {gap.may_hide}" for gap in conclusion.gaps),
        *(f"next check: {check.what} ({check.cost}): {check.why}" for check in conclusion.next_checks),
    ]


def observation_line(seen: Observation) -> str:
    """Return an observation in a line, with the evidence that it stands on."""
    quotes = "; ".join(f"{c.where} = {str(c.quote)[:_MOST_QUOTE]}" for c in seen.citations[:_MOST_QUOTES])
    evidence = seen.citations[0].evidence if seen.citations else "none"
    began = f" since {rfc3339(seen.onset)}" if seen.onset else ""
    return f"{seen.signal}: {seen.statement}{began} [{quotes} in evidence {evidence}]"


def plan_lines(journal: Journal, incident: Incident) -> list[str]:
    """Return the latest plan, step by step, with what was decided and done."""
    plans = journal.values(incident.id, Plan)
    if not plans:
        return ["There is no plan yet."]
    actions = {action.step: action for action in journal.values(incident.id, Action)}
    return [
        *plan_text(plans[-1]).split("\n"),
        f"Digest: {plans[-1].digest}",
        f"State: {plan_state(journal, incident, plans[-1])}",
        *(f"{action.outcome}: {action.step}: {action.detail}" for action in actions.values()),
    ]


def plan_state(journal: Journal, incident: Incident, plan: Plan) -> str:
    """Return what has become of a plan, in words."""
    if not plan.steps:
        return "nothing to approve"
    if decision := decision_on(journal, incident.id, plan):
        return decision.said[0].lower() + decision.said[1:]
    now = journal.incident(incident.id) or incident
    waits = "a person is waited for" if now.status is Status.AWAITING_APPROVAL else f"the incident is {now.status}"
    return f"not decided; {waits}"


def record_line(entry: Entry) -> str:
    """Return a record in a line of JSON, as the journal has it."""
    return entry.model_dump_json(exclude={"prev_hash", "hash", "investigation"})


def hypothesis_name(hypothesis: Hypothesis) -> str:
    """Return what a hypothesis says, in short."""
    return f"{hypothesis.kind} at {hypothesis.entity}: {hypothesis.rationale}"


def _cause(role: str, cause: Cause, seen: dict[str, Observation]) -> Iterator[str]:
    yield f"{role}: {cause.kind} at {cause.entity}, confidence {cause.confidence:.2f}: {cause.statement}"
    yield f"  path: {' → '.join(cause.path)}"
    yield from (f"  for: {observation_line(o)}" for o in _known(cause.supports, seen))
    yield from (f"  against: {observation_line(o)}" for o in _known(cause.contradicts, seen))


def _known(names: Iterable[str], seen: dict[str, Observation]) -> list[Observation]:
    return [seen[name] for name in names if name in seen]


def _told(journal: Journal, incident: Incident) -> list[str]:
    waiting = unheeded(journal, incident.id)
    heeded = [steer for steer in journal.values(incident.id, Steer) if steer.effect]
    return [
        *(f"{steer.by} said: {steer.text} → {steer.effect}" for steer in heeded),
        *(f"{steer.by} said: {steer.text} → not heeded yet" for steer in waiting.values()),
    ]
