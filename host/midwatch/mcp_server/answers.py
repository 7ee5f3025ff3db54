"""Questions about an investigation, answered from its journal by code: no model, so the same answer every time.

What a question is about is found by the names in it: entities that the investigation knows, and kinds of cause. A
question that none of the patterns takes is answered by what can be asked.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from midwatch.journal import Journal
from midwatch.mcp_server.reading import conclusion_lines, hypothesis_name, missing_lines, observation_line
from midwatch.records import Conclusion, Gap, Hypothesis, HypothesisKind, Incident, Scope, Verdict
from midwatch_kit.records import EntityId, Observation, ObservationKind
from midwatch_kit.window import rfc3339

CAN_BE_ASKED = (
    "why not X: how the hypotheses at X fared, argument by argument (X: an entity, a kind of cause, or both)",
    "what changed: deploys, configuration, sessions around the incident",
    "what was seen at X: everything observed of an entity",
    "what is missing: what could not be looked at, and which check would help",
    "what is the cause: the conclusion as it stands",
)
_LEAST = -1e6
"""A weight below this is no matter of degree: the argument alone rules a hypothesis out."""
_WORDS = re.compile(r"[\w.:@/-]+")


@dataclass(frozen=True)
class Asked:
    """A question about one investigation, with the entities and kinds of cause that it names."""

    journal: Journal
    incident: Incident
    entities: frozenset[EntityId]
    kinds: frozenset[HypothesisKind]


def answer(journal: Journal, incident: Incident, question: str) -> list[str]:
    """Return the answer, in lines; what can be asked, when the question is none of that."""
    said = _what_is_said(question)
    known = known_entities(journal, incident)
    asked = Asked(
        journal,
        incident,
        frozenset(entity for entity in known if said & {entity.casefold(), _bare(entity)}),
        frozenset(kind for kind in HypothesisKind if kind.value in said),
    )
    for pattern, respond in _ANSWERS:
        if pattern.search(question):
            return respond(asked)
    return ["That cannot be answered from the journal. What can be asked:", *(f"- {line}" for line in CAN_BE_ASKED)]


def known_entities(journal: Journal, incident: Incident) -> list[EntityId]:
    """Return every entity that an investigation knows: in its scope, observed, or suspected; sorted."""
    scopes = journal.values(incident.id, Scope)
    mapped = {entity.id for scope in scopes for entity in scope.topology.entities}
    seen = {o.entity for o in journal.values(incident.id, Observation)}
    suspected = {h.entity for h in journal.values(incident.id, Hypothesis)}
    return sorted({incident.service} | mapped | seen | suspected)


def what_changed(asked: Asked) -> list[str]:
    """Return the changes that were seen, oldest first, and how the hypothesis from each fared."""
    verdicts = _verdicts(asked)
    judged = {h.trigger.id: verdicts[h.id] for h in _hypotheses(asked) if h.trigger and h.id in verdicts}
    fared = {name: f" → as the cause: {verdict.result}" for name, verdict in judged.items()}
    seen = [o for o in _observations(asked) if o.kind is ObservationKind.CHANGE and o.subject != "content"]
    seen = [o for o in seen if not asked.entities or o.entity in asked.entities]
    ordered = sorted(seen, key=lambda o: (o.onset is None, o.onset, o.id))
    lines = [f"{rfc3339(o.onset) if o.onset else '?'}  {o.statement}{fared.get(o.id, '')}" for o in ordered]
    return lines or ["No change was seen" + _at(asked) + "."]


def what_was_seen(asked: Asked) -> list[str]:
    """Return every observation of the entities named, strongest first; of all, when none is."""
    seen = [o for o in _observations(asked) if not asked.entities or {o.entity, o.related} & asked.entities]
    ordered = sorted(seen, key=lambda o: (-o.score, o.id))
    return [observation_line(o) for o in ordered] or ["Nothing was observed" + _at(asked) + "."]


def what_is_missing(asked: Asked) -> list[str]:
    """Return the gaps and the next checks."""
    conclusions = asked.journal.values(asked.incident.id, Conclusion)
    if conclusions:
        return missing_lines(conclusions[-1]) or ["Nothing: everything that was asked was answered."]
    gaps = asked.journal.values(asked.incident.id, Gap)
    return [f"not looked at: {gap.what}: {gap.why}; may hide {gap.may_hide}" for gap in gaps] or ["No gap so far."]


def why_not(asked: Asked) -> list[str]:
    """Return verdict and arguments of each hypothesis at the entities, and of the kinds, that were named."""
    if not asked.entities and not asked.kinds:
        return ["Name what it is about: an entity, a kind of cause, or both.", *_known_names(asked)]
    meant = [h for h in _hypotheses(asked) if not asked.entities or h.entity in asked.entities]
    meant = [h for h in meant if not asked.kinds or h.kind in asked.kinds]
    if not meant:
        what = " or ".join(sorted(asked.kinds)) or "nothing"
        return [
            f"No hypothesis says that it was {what}{_at(asked)}; so that was not tested.",
            "steer_investigation with a kind and an entity has it tested.",
        ]
    verdicts = _verdicts(asked)
    return [line for hypothesis in meant for line in _argued(hypothesis, verdicts.get(hypothesis.id))]


def what_is_the_cause(asked: Asked) -> list[str]:
    """Return the conclusion as it stands."""
    return conclusion_lines(asked.journal, asked.incident.id)


_ANSWERS: tuple[tuple[re.Pattern[str], Callable[[Asked], list[str]]], ...] = (
    (re.compile(r"\b(missing|gaps?|not looked|unknown|next checks?|what next|blind)\b", re.I), what_is_missing),
    (re.compile(r"\b(why|ruled out|suspect|was it|is it not|could it)\b", re.I), why_not),
    (re.compile(r"\b(changed|changes?|deployed|deploys?)\b", re.I), what_changed),
    (re.compile(r"\b(seen|observed|saw|happened|look like|evidence)\b", re.I), what_was_seen),
    (re.compile(r"\b(cause|conclusion|concluded|how sure|confiden\w+|going on)\b", re.I), what_is_the_cause),
)


def _argued(hypothesis: Hypothesis, verdict: Verdict | None) -> Iterable[str]:
    yield hypothesis_name(hypothesis)
    if verdict is None:
        yield "  no verdict yet"
        return
    yield f"  {verdict.result}, probability {verdict.probability:.2f} by itself: {verdict.reason}"
    for argument in sorted(verdict.arguments, key=lambda a: a.weight):
        side = "decides against it" if argument.weight < _LEAST else f"{argument.weight:+.1f}"
        yield f"  {side}: {argument.text}"


def _verdicts(asked: Asked) -> dict[str, Verdict]:
    """Return the latest verdict on each hypothesis, by its id."""
    return {verdict.hypothesis: verdict for verdict in asked.journal.values(asked.incident.id, Verdict)}


def _observations(asked: Asked) -> list[Observation]:
    return list({o.id: o for o in asked.journal.values(asked.incident.id, Observation)}.values())


def _hypotheses(asked: Asked) -> list[Hypothesis]:
    return asked.journal.values(asked.incident.id, Hypothesis)


def _known_names(asked: Asked) -> list[str]:
    suspected = sorted({h.entity for h in _hypotheses(asked)})
    return [f"Suspected were: {', '.join(suspected)}"] if suspected else []


def _at(asked: Asked) -> str:
    return f" at {' or '.join(sorted(asked.entities))}" if asked.entities else ""


def _what_is_said(question: str) -> frozenset[str]:
    return frozenset(word.strip(".:").casefold() for word in _WORDS.findall(question))


def _bare(entity: EntityId) -> str:
    return entity.partition(":")[2].casefold()
