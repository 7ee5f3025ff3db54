"""What is done about an incident and around it, as answers: plan, undo, progress, cost, owner, earlier incidents."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from midwatch.chat.book import Book, Noted, seen_line
from midwatch.chat.findings import Asked
from midwatch.reading.lines import plan_state
from midwatch.records import (
    Action,
    Budget,
    Call,
    Conclusion,
    Decision,
    Incident,
    ModelCall,
    Plan,
    Status,
    Steer,
    Step,
    ToolCall,
)
from midwatch.records.message import Statement
from midwatch.steering.steers import look_of, unheeded
from midwatch_kit.records import EntityId, ObservationKind
from midwatch_kit.window import rfc3339

_NO_PLAN: Final = Statement(text="There is no plan yet.")
_MOST_EARLIER: Final = 10
OWNED: Final = "owned_by"


def what_is_the_plan(asked: Asked) -> list[Statement]:
    """Return the latest plan, step by step, and what became of it."""
    if (plan := asked.book.last(Plan)) is None:
        return [_NO_PLAN]
    told = plan.value
    head = [f"plan {told.digest[:12]}: {told.action}", f"why: {told.reasoning}", f"risk: {told.risk}"]
    state = f"state: {plan_state(asked.book.journal, asked.book.incident, told)}"
    if told.steps and asked.book.journal.recall(asked.book.incident.id, "decision", told.digest, Decision) is None:
        state += f"; a person decides: midwatch approve {asked.book.incident.id} {told.digest[:12]}"
    return [*_of(plan, head), *(_step(plan, step) for step in told.steps), *_of(plan, [state]), *_ran(asked.book)]


def _step(plan: Noted[Plan], step: Step) -> Statement:
    by_hand = f"; by hand: {step.command}" if step.command and step.command != step.title else ""
    whose = f"; a model proposes it: {step.reason}" if step.by == "model" else ""
    expected = step.condition.said if step.condition else step.expect.value
    then = f"; expected: {expected}" if expected != step.title else ""
    text = f"  {step.phase}: {step.title} ({step.safety}){then}{by_hand}{whose}"
    return Statement(text=text, citations=step.cites, records=(plan.record,))


def what_it_would_touch(asked: Asked) -> list[Statement]:
    """Return what the plan would change, call by call, and what else may feel it."""
    if (plan := asked.book.last(Plan)) is None:
        return [_NO_PLAN]
    changing = [step for step in plan.value.steps if step.safety != "read_only"]
    lines = [f"it would: {step.title}: {_by(step)}" for step in changing] or ["it would change nothing"]
    touched = ", ".join(plan.value.blast_radius) or "nothing beyond it is known to be touched"
    return _of(plan, [*lines, f"blast radius: {touched}", f"risk: {plan.value.risk}"])


def how_to_undo(asked: Asked) -> list[Statement]:
    """Return how each changing step of the plan is taken back, and whether one was."""
    if (plan := asked.book.last(Plan)) is None:
        return [_NO_PLAN]
    changing = [step for step in plan.value.steps if step.safety != "read_only" and step.phase == "apply"]
    lines = [
        f"{step.title}: {f'undone by {_called(step.inverse)}' if step.inverse else 'midwatch has no undo for it'}"
        for step in changing
    ]
    lines += [f"{s.title}: {_by(s)}" for s in plan.value.steps if s.phase == "roll_back"]
    lines = lines or ["The plan changes nothing, so there is nothing to undo."]
    return [*_of(plan, lines), *_ran(asked.book)]


def how_far(asked: Asked) -> list[Statement]:
    """Return where the incident stands, what is on record, and what people said that was not heeded yet."""
    book = asked.book
    stands = book.last(Incident)
    counts = Counter(entry.type for entry in book.entries)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    last = len(book.entries)
    status = f"{book.incident.status}{f': {book.incident.reason}' if book.incident.reason else ''}"
    lines = [
        Statement(text=f"status: {status}", records=(stands.record,) if stands else ()),
        Statement(text=f"look {look_of(book.journal, book.incident.id)}; on record are {listed}", records=(last,)),
    ]
    tested = Counter(verdict.value.result for verdict in book.verdicts.values())
    if book.hypotheses:
        said = ", ".join(f"{count} {result}" for result, count in sorted(tested.items())) or "no verdict yet"
        records = tuple(verdict.record for verdict in book.verdicts.values())
        lines.append(Statement(text=f"{len(book.hypotheses)} hypotheses: {said}", records=records))
    if concluded := book.last(Conclusion):
        text = f"concluded: {concluded.value.outcome}: {concluded.value.statement}"
        lines.append(Statement(text=text, records=(concluded.record,)))
    waiting = unheeded(book.journal, book.incident.id).values()
    return [*lines, *_steers(book), *(Statement(text=f"not heeded yet: {each.by}: {each.text}") for each in waiting)]


def _steers(book: Book) -> list[Statement]:
    heeded = [steer for steer in book.every(Steer) if steer.value.effect]
    return [
        Statement(text=f"{s.value.by} said: {s.value.text} → {s.value.effect}", records=(s.record,)) for s in heeded
    ]


def what_it_cost(asked: Asked) -> list[Statement]:
    """Return time, tool calls, tokens and money: of the investigation, and of questions about it."""
    book = asked.book
    lines = [_budget(noted) for noted in book.every(Budget)]
    calls = book.every(ToolCall)
    failed = sum(call.value.error is not None for call in calls)
    if calls:
        text = f"{len(calls)} tool calls are on record, {failed} of them without an answer"
        lines.append(Statement(text=text, records=(calls[0].record, calls[-1].record)))
    for purpose in ("investigation", "question"):
        own = [call for call in book.every(ModelCall) if call.value.purpose == purpose]
        if own:
            tokens, usd = sum(c.value.tokens for c in own), sum(c.value.usd for c in own)
            names = ", ".join(sorted({c.value.model for c in own}))
            text = f"{purpose}: {len(own)} calls of {names}, {tokens} tokens, ${usd:.4f}"
            lines.append(Statement(text=text, records=tuple(c.record for c in own)))
    if not book.every(ModelCall):
        lines.append(Statement(text="No model was called: $0."))
    return lines


def _budget(noted: Noted[Budget]) -> Statement:
    spent = noted.value
    text = (
        f"one look: {spent.seconds:g} of {spent.seconds_allowed:g} s, "
        f"{spent.tool_calls} of {spent.tool_calls_allowed} tool calls, {spent.tokens} tokens, ${spent.money_usd:.4f}"
    )
    return Statement(text=text, records=(noted.record,))


def who_owns_it(asked: Asked) -> list[Statement]:
    """Return who owns what was named, or else the symptom and the cause; and who changed it last."""
    book = asked.book
    last = book.last(Conclusion)
    causes = [cause.entity for cause in last.value.root_causes] if last else []
    meant = asked.question.entities or tuple(dict.fromkeys([book.incident.service, *causes]))
    lines = []
    if book.incident.owner:
        lines.append(Statement(text=f"the incident: {book.incident.owner}", records=book.opened))
    return [*lines, *(line for entity in meant for line in _owners(book, entity))]


def _owners(book: Book, entity: EntityId) -> Iterable[Statement]:
    records = (book.scope.record,) if book.scope else ()
    owned = [r.target for r in book.topology.relations if r.kind == OWNED and r.source == entity]
    if owned:
        yield Statement(text=f"{entity} is owned by {', '.join(owned)}", records=records)
    else:
        yield Statement(text=f"nobody told midwatch who owns {entity}", records=records)
    changed = [
        noted.value
        for noted in book.observations.values()
        if (noted.value.kind, noted.value.entity) == (ObservationKind.CHANGE, entity)
        and noted.value.onset
        and noted.value.subject != "content"
    ]
    for seen in sorted(changed, key=lambda o: (o.onset, o.id))[-1:]:
        yield seen_line(seen, f"  changed last at {rfc3339(seen.onset) if seen.onset else '?'}: {seen.statement}")


def what_was_before(asked: Asked) -> list[Statement]:
    """Return how the symptom was before, and earlier incidents of the same service, or with the same cause."""
    book = asked.book
    scope = book.scope
    figures = [
        seen_line(seen, f"before, compared with now: {seen.statement}")
        for seen in (scope.value.symptoms[:3] if scope else ())
    ]
    found = [line for other in book.journal.incidents() if (line := _earlier(asked, other))]
    if not found:
        return [*figures, Statement(text="No earlier incident of it is on record here.")]
    return [*figures, *found[-_MOST_EARLIER:]]


def _earlier(asked: Asked, other: Incident) -> Statement | None:
    """Return another incident in a line, if it has to do with this one; it is cited by its own records."""
    own = asked.book.incident
    if other.id == own.id or other.started_at >= own.started_at:
        return None
    book = Book.of(asked.book.journal, other)
    last, mine = book.last(Conclusion), asked.book.last(Conclusion)
    theirs = {(c.kind, c.entity) for c in last.value.root_causes} if last else set()
    ours = {(c.kind, c.entity) for c in mine.value.root_causes} if mine else set()
    asked_for = {entity for _, entity in theirs} & asked.entities
    why = [
        *(["the same service"] if other.service == own.service else []),
        *(["the same cause"] if theirs & ours else []),
        *(["the cause was there"] if asked_for else []),
    ]
    if not why:
        return None
    said = f"{last.value.outcome}: {last.value.statement}" if last else "no conclusion"
    text = f"{rfc3339(other.started_at)}  {other.id}  {other.title} ({', '.join(why)}): {said}"
    return Statement(text=text, records=(last.record,) if last else book.opened, incident=other.id)


def _ran(book: Book) -> list[Statement]:
    latest = {action.value.step: action for action in book.every(Action)}
    lines = [
        Statement(text=f"{a.value.outcome}: {a.value.step}: {a.value.detail}", records=(a.record,))
        for a in latest.values()
    ]
    stands = book.last(Incident)
    if not lines and stands and book.incident.status is Status.AWAITING_APPROVAL:
        lines.append(Statement(text="Nothing of it has run yet.", records=(stands.record,)))
    return lines


def _of(plan: Noted[Plan], lines: Iterable[str]) -> list[Statement]:
    return [Statement(text=line, records=(plan.record,)) for line in lines]


def _by(step: Step) -> str:
    return _called(step.call) if step.call else f"a person: {step.command or 'by hand'}"


def _called(call: Call) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in sorted(call.arguments.items()))
    return f"{call.server}.{call.tool}({arguments})"
