"""What an investigation found, as answers: the cause, why not another, what changed, what was seen, in what order."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from midwatch.builtin.weights import SHIFTED
from midwatch.chat.book import Book, Noted, seen_line
from midwatch.chat.questions import Question
from midwatch.reading.lines import hypothesis_name
from midwatch.records import (
    Action,
    Cause,
    Conclusion,
    Decision,
    Gap,
    Health,
    Hypothesis,
)
from midwatch.records.message import Statement
from midwatch_kit.records import EntityId, Moment, Observation, ObservationKind
from midwatch_kit.window import rfc3339

_LEAST: Final = -1e6
"""A weight below this is no matter of degree: the argument alone rules a hypothesis out."""
_QUIET: Final = (ObservationKind.NORMAL, ObservationKind.ABSENCE)
_MOST_EVENTS: Final = 30


@dataclass(frozen=True)
class Asked:
    """A question about one investigation, and its records."""

    book: Book
    question: Question

    @property
    def entities(self) -> frozenset[EntityId]:
        """What it names."""
        return frozenset(self.question.entities)

    @property
    def at(self) -> str:
        """Where it is about, in words; '' for everywhere."""
        return f" at {' or '.join(sorted(self.entities))}" if self.entities else ""


def what_is_the_cause(asked: Asked) -> list[Statement]:
    """Return the conclusion as it stands, with what it rests on, and the earlier ones."""
    every = asked.book.every(Conclusion)
    if not every:
        return [Statement(text="There is no conclusion yet.")]
    last = every[-1]
    causes = last.value.root_causes
    rests_on = [name for cause in causes for name in cause.supports]
    lines = [asked.book.of_record(f"{last.value.outcome}: {last.value.statement}", last, rests_on)]
    lines += [line for cause in causes for line in _cause("root cause", cause, asked.book, last)]
    lines += [line for cause in last.value.contributing for line in _cause("contributing", cause, asked.book, last)]
    earlier = [
        Statement(text=f"An earlier look said: {each.value.outcome}: {each.value.statement}", records=(each.record,))
        for each in every[:-1]
    ]
    return [*lines, *earlier]


def _cause(role: str, cause: Cause, book: Book, conclusion: Noted[Conclusion]) -> Iterable[Statement]:
    said = f"{role}: {cause.kind} at {cause.entity}, confidence {cause.confidence:.2f}: {cause.statement}"
    yield book.of_record(said, conclusion, cause.supports)
    yield Statement(text=f"  path: {' → '.join(cause.path)}", records=(conclusion.record,))
    for side, names in (("for", cause.supports), ("against", cause.contradicts)):
        known = (book.observations[name].value for name in names if name in book.observations)
        yield from (seen_line(seen, f"  {side}: {_told(seen)}") for seen in known)


def why_not(asked: Asked) -> list[Statement]:
    """Return verdict and arguments of each hypothesis at the entities, and of the kinds, that were named."""
    book, kinds = asked.book, asked.question.kinds
    if not asked.entities and not kinds:
        return [Statement(text="Name what it is about: an entity, a kind of cause, or both."), *_suspected(book)]
    meant = [h for h in book.hypotheses if not asked.entities or h.value.entity in asked.entities]
    meant = [h for h in meant if not kinds or h.value.kind in kinds]
    if not meant:
        what = " or ".join(sorted(kinds)) or "nothing"
        return [
            Statement(text=f"No hypothesis says that it was {what}{asked.at}; so that was not tested."),
            Statement(text="A steer has it tested: midwatch steer, /steer in a conversation, or steer_investigation."),
        ]
    return [line for hypothesis in meant for line in _argued(book, hypothesis)]


def _suspected(book: Book) -> list[Statement]:
    names = sorted({h.value.entity for h in book.hypotheses})
    records = tuple(h.record for h in book.hypotheses)
    return [Statement(text=f"Suspected were: {', '.join(names)}", records=records)] if names else []


def _argued(book: Book, hypothesis: Noted[Hypothesis]) -> Iterable[Statement]:
    yield Statement(text=hypothesis_name(hypothesis.value), records=(hypothesis.record,))
    verdict = book.verdicts.get(hypothesis.value.id)
    if verdict is None:
        yield Statement(text="  no verdict yet", records=(hypothesis.record,))
        return
    told = verdict.value
    said = f"  {told.result}, probability {told.probability:.2f} by itself: {told.reason}"
    yield book.of_record(said, verdict, told.observations)
    for argument in sorted(told.arguments, key=lambda a: a.weight):
        side = "decides against it" if argument.weight < _LEAST else f"{argument.weight:+.1f}"
        yield book.of_record(f"  {side}: {argument.text}", verdict, argument.observations)


def what_changed(asked: Asked) -> list[Statement]:
    """Return the changes that were seen, oldest first, and how the hypothesis from each fared."""
    book = asked.book
    judged = {h.value.trigger.id: book.verdicts.get(h.value.id) for h in book.hypotheses if h.value.trigger}
    fared = {name: f" → as the cause: {verdict.value.result}" for name, verdict in judged.items() if verdict}
    seen = [noted.value for noted in book.observations.values() if noted.value.kind is ObservationKind.CHANGE]
    seen = [o for o in seen if o.subject != "content" and (not asked.entities or o.entity in asked.entities)]
    if window := asked.question.window:
        seen = [o for o in seen if o.onset and window.start <= o.onset < window.end]
    ordered = sorted(seen, key=lambda o: (o.onset is None, o.onset, o.id))
    lines = [
        seen_line(o, f"{rfc3339(o.onset) if o.onset else '?'}  {o.statement}{fared.get(o.id, '')}") for o in ordered
    ]
    return lines or [Statement(text=f"No change was seen{asked.at}.", records=_scope(book))]


def what_was_seen(asked: Asked) -> list[Statement]:
    """Return every observation of the entities named, strongest first; of all, when none is."""
    every = [noted.value for noted in asked.book.observations.values()]
    seen = [o for o in every if not asked.entities or {o.entity, o.related} & asked.entities]
    ordered = sorted(seen, key=lambda o: (-o.score, o.id))
    lines = [seen_line(o, f"{o.signal}: {_told(o)}") for o in ordered]
    return lines or [Statement(text=f"Nothing was observed{asked.at}.", records=_scope(asked.book))]


def what_is_missing(asked: Asked) -> list[Statement]:
    """Return the gaps and the next checks."""
    gaps = {(g.value.what, g.value.why): g for g in asked.book.every(Gap)}
    lines = [
        Statement(
            text=f"not looked at: {g.value.what}: {g.value.why}; may hide {g.value.may_hide}", records=(g.record,)
        )
        for g in gaps.values()
    ]
    if last := asked.book.last(Conclusion):
        lines += [
            Statement(text=f"next check: {check.what} ({check.cost}): {check.why}", records=(last.record,))
            for check in last.value.next_checks
        ]
        return lines or [Statement(text="Nothing: everything that was asked was answered.", records=(last.record,))]
    return lines or [Statement(text="No gap so far.")]


def what_is_hit(asked: Asked) -> list[Statement]:
    """Return the impact, how the symptom's health went, and what lies between the cause and it."""
    book = asked.book
    last = book.last(Conclusion)
    if last is None:
        return [Statement(text="There is no conclusion yet, and so no word on the impact.")]
    impact = last.value.impact
    lines = [book.of_record(f"impact: {impact.statement}", last, impact.observations)] if impact else []
    for cause in last.value.root_causes:
        path = " → ".join(cause.path)
        lines.append(Statement(text=f"on the way from the cause to the symptom: {path}", records=(last.record,)))
    for health in book.every(Health):
        of = health.value
        text = f"health {of.when}: {of.errors} of {of.requests} requests failed: {of.statement}"
        lines.append(Statement(text=text, evidence=of.evidence, records=() if of.evidence else (health.record,)))
    return lines or [Statement(text="No impact was measured.", records=(last.record,))]


def what_happened(asked: Asked) -> list[Statement]:
    """Return what was seen and done, in order of time; with an entity and no word of order, what was seen of it."""
    events = sorted(_events(asked), key=lambda event: event[0])
    lines = [line.model_copy(update={"text": f"{rfc3339(at)}  {line.text}"}) for at, line in events]
    if len(lines) > _MOST_EVENTS:
        left_out = len(lines) - _MOST_EVENTS
        lines = [*lines[:_MOST_EVENTS], Statement(text=f"… and {left_out} more: read_records, or name an entity.")]
    return lines or [Statement(text=f"Nothing with a time is on record{asked.at}.")]


def _events(asked: Asked) -> Iterable[tuple[Moment, Statement]]:
    book = asked.book
    yield book.incident.started_at, Statement(text=f"alert: {book.incident.title}", records=book.opened)
    for noted in book.observations.values():
        seen = noted.value
        loud = seen.kind is ObservationKind.CHANGE or (seen.kind not in _QUIET and seen.score >= SHIFTED)
        named = not asked.entities or {seen.entity, seen.related} & asked.entities
        if seen.onset and loud and named and seen.subject != "content":
            yield seen.onset, seen_line(seen, f"{seen.signal}: {seen.statement}")
    for concluded in book.every(Conclusion):
        told = concluded.value
        rests_on = [name for cause in told.root_causes for name in cause.supports]
        yield (
            concluded.at,
            book.of_record(f"midwatch concluded: {told.outcome}: {told.statement}", concluded, rests_on),
        )
    for decided in book.every(Decision):
        made = decided.value
        text = f"plan {made.digest[:12]} {'approved' if made.approved else 'not approved'} by {made.by}: {made.reason}"
        yield decided.at, Statement(text=text, records=(decided.record,))
    for ran in book.every(Action):
        yield ran.at, Statement(text=f"step {ran.value.outcome}: {ran.value.step}", records=(ran.record,))
    for taken in book.every(Health):
        text = f"health {taken.value.when}: {taken.value.statement}"
        yield taken.at, Statement(text=text, records=(taken.record,))


def _told(seen: Observation) -> str:
    return f"{seen.statement} since {rfc3339(seen.onset)}" if seen.onset else seen.statement


def _scope(book: Book) -> tuple[int, ...]:
    return (book.scope.record,) if book.scope else ()
