"""Which question is answered by what: patterns in order, the same words the same answer. No model, nobody is asked."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from midwatch.chat.affairs import (
    how_far,
    how_to_undo,
    what_is_the_plan,
    what_it_cost,
    what_it_would_touch,
    what_was_before,
    who_owns_it,
)
from midwatch.chat.book import Book
from midwatch.chat.findings import (
    Asked,
    what_changed,
    what_happened,
    what_is_hit,
    what_is_missing,
    what_is_the_cause,
    what_was_seen,
    why_not,
)
from midwatch.chat.questions import Question, understood
from midwatch.chat.surroundings import Map, dependents, depends_on, everything, owners, paths, runs
from midwatch.records import Incident
from midwatch.records.message import Statement
from midwatch.storage.journal import Journal

_DEPENDENTS: Final = (
    r"\b(what|who|which \w+) depends? (up)?on\b|\bbreaks?\b|\bblast radius\b|\b(used|called) by\b|\bdependents\b"
    r"|\bif\b.+\b(goes|go|fails?|dies|is down|is gone)\b|\bwho (uses|calls)\b|\bwhat (uses|calls)\b"
)
_DEPENDS: Final = r"\bdepends?\b|\bdependenc(y|ies)\b|\bneeds?\b|\b(does|do) .+ (use|call|read|write)\b"
_RUNS: Final = r"\bruns? (where|on)\b|\bwhat runs\b|\brunning (on|where)\b|\bwhere (does|do) .+ run\b|\binstances?\b"
_OWNER: Final = (
    r"\bowns?\b|\bowner(s|ship)?\b|\bowned\b|\bresponsible\b|\bwhich team\b|\bwhose\b|\bwhom?\b.*\b(page|call)\b"
)
_PATHS: Final = r"\bpaths?\b|\bhow (does|do|can|could) .+ (hurt|harm|reach|get to|affect)\b"
_CHANGED: Final = r"\bchanged?\b|\bchanges\b|\bdeploy(s|ed|ments?)?\b|\breleases?d?\b"


@dataclass(frozen=True)
class Way:
    """One kind of question about an investigation: its pattern, how to ask it, and what answers it."""

    pattern: re.Pattern[str]
    example: str
    respond: Callable[[Asked], list[Statement]]

    @property
    def needs_a_look(self) -> bool:
        """Whether the journal cannot hold an answer: it is about what came after, or about telemetry as it is."""
        return self.respond is _now


def _way(pattern: str, example: str, respond: Callable[[Asked], list[Statement]]) -> Way:
    return Way(re.compile(pattern, re.IGNORECASE), example, respond)


def _over_its_map(respond: Callable[[Map, Question], list[Statement]]) -> Callable[[Asked], list[Statement]]:
    """Return what answers a question of the topology from what the investigation knew of it."""

    def over(asked: Asked) -> list[Statement]:
        if asked.book.scope is None:
            return [Statement(text="The investigation has not looked at the topology yet.")]
        known = tuple(entity for entity in asked.question.entities if entity in asked.book.topology)
        question = Question(asked.question.text, known, asked.question.kinds, near=asked.question.near)
        return respond(Map(asked.book.topology, record=asked.book.scope.record), question)

    return over


def _seen_or_happened(asked: Asked) -> list[Statement]:
    return what_was_seen(asked) if asked.entities else what_happened(asked)


def _now(_: Asked) -> list[Statement]:
    return [Statement(text="The journal ends with the investigation: ask for a fresh look (--look, look: true).")]


WAYS: Final[tuple[Way, ...]] = (
    _way(
        r"\b(missing|gaps?|not looked|unknown|next checks?|what next|blind)\b",
        "what is missing: what could not be looked at, and which check would help",
        what_is_missing,
    ),
    _way(
        r"\b(undo|undone|undoes|revert(ed)?|roll(s|ed)?[ -]?back|take (it )?back|inverse)\b",
        "how to undo it: how each step of the plan is taken back",
        how_to_undo,
    ),
    _way(
        r"\btouch(es)?\b|\bwould (it|the plan) (change|affect|do)\b|\brisks?\b",
        "what would it touch: what the plan changes, call by call",
        what_it_would_touch,
    ),
    _way(
        r"\bplan\b|\bmitigat\w*|\bfix(ed|es)?\b|\bremed\w*|\bapprov\w*|\bnext (action|step)s?\b"
        r"|\bwhat (should|can|do) (we|i)\b",
        "what is the plan: its steps, its state, and how to approve it",
        what_is_the_plan,
    ),
    _way(
        r"\bcosts?\b|\bspen[dt]\b|\btokens?\b|\bmoney\b|\bdollars?\b|\bbudget\b|\bexpensive\b|\bhow many calls\b",
        "what did it cost: time, tool calls, tokens, money",
        what_it_cost,
    ),
    _way(_OWNER, "who owns X: the team, and who changed it last", who_owns_it),
    _way(_DEPENDENTS, "what depends on X: its blast radius, as the investigation knew it", _over_its_map(dependents)),
    _way(_DEPENDS, "what does X depend on", _over_its_map(depends_on)),
    _way(_PATHS, "how does X hurt Y: by which paths", _over_its_map(paths)),
    _way(_RUNS, "what runs where", _over_its_map(runs)),
    _way(
        r"\b(why|ruled out|suspect(ed|s)?|(?<!what )was it|is it not|could it)\b",
        "why not X: how the hypotheses at X fared, argument by argument (X: an entity, a kind of cause, or both)",
        why_not,
    ),
    _way(_CHANGED, "what changed: deploys, configuration, sessions around the incident", what_changed),
    _way(
        r"\b(impact|affected|users?|customers?|hurts?|harm(ed)?|how bad|damage|hit)\b",
        "what is the impact: who and what was hit, how much, since when",
        what_is_hit,
    ),
    _way(
        r"\b(before|earlier|last time|previous(ly)?|similar|history|recur\w*|ever|again)\b",
        "what was it like before: earlier incidents of the same service, or with the same cause",
        what_was_before,
    ),
    _way(r"\b(timeline|in order|chronolog\w*|sequence of|when did)\b", "what happened in order", what_happened),
    _way(
        r"\b(how far|progress|status|still at work|done yet|finished|stands?)\b",
        "how far has it come: status, hypotheses, what was said and not heeded yet",
        how_far,
    ),
    _way(
        r"\b(seen|observed|saw|happen(ed|s)?|look like|evidence)\b",
        "what was seen at X: everything observed of an entity",
        _seen_or_happened,
    ),
    _way(
        r"\b(root cause|cause|reason|culprit|conclusion|concluded|how sure|confiden\w+|going on|wrong|broke)\b",
        "what is the cause: the conclusion as it stands",
        what_is_the_cause,
    ),
    _way(r"\bhow (is|are)\b|\bright now\b|\bby now\b|\blogs?\b", "how is X now, with a fresh look", _now),
)
CAN_BE_ASKED: Final = tuple(way.example for way in WAYS)


def way_of(question: Question, before: Sequence[str] = ()) -> Way | None:
    """Return what answers a question; for `and bot?` it is what answered the latest of the questions `before`."""
    texts = [question.text, *(reversed(before) if question.goes_on else ())]
    return next((way for text in texts for way in WAYS if way.pattern.search(text)), None)


def from_the_journal(journal: Journal, incident: Incident, text: str) -> list[Statement]:
    """Return the answer to a question, or what can be asked when it is none of that. Raises `HostError`."""
    book = Book.of(journal, incident)
    question = understood(text, book.known, incident.first_seen)
    way = way_of(question)
    return way.respond(Asked(book, question)) if way else cannot("the journal", CAN_BE_ASKED)


def cannot(what: str, examples: Sequence[str]) -> list[Statement]:
    """Return that a question cannot be answered, and what can be asked."""
    head = f"That cannot be answered from {what}. What can be asked:"
    return [Statement(text=head), *(Statement(text=f"- {each}") for each in examples)]


@dataclass(frozen=True)
class Around:
    """One kind of question about the environment: drawn from the topology, or else looked at."""

    pattern: re.Pattern[str]
    example: str
    drawn: Callable[[Map, Question], list[Statement]] | None = None


def _around(pattern: str, example: str, drawn: Callable[[Map, Question], list[Statement]] | None = None) -> Around:
    return Around(re.compile(pattern, re.IGNORECASE), example, drawn)


AROUND: Final[tuple[Around, ...]] = (
    _around(_OWNER, "who owns X", owners),
    _around(_DEPENDENTS, "what depends on X, what breaks if X goes: the blast radius", dependents),
    _around(_DEPENDS, "what does X depend on", depends_on),
    _around(_PATHS, "how does X hurt Y: by which paths", paths),
    _around(_RUNS, "what runs where, what runs on X", runs),
    _around(_CHANGED, "what changed at X in the last hour"),
    _around(
        r"\bhow (is|are)\b|\bhealth\w*|\bdoing\b|\bright now\b|\b(is|are) .+ (ok|fine|up|down|slow|well|broken)\b"
        r"|\berrors?\b|\blatency\b|\bslow\b|\blogs?\b|\bsays?\b|\bseen\b|\bhappen\w*|\bwrong\b|\bgoing on\b"
        r"|\bcpu\b|\bmemory\b",
        "how is X now, what do the logs of X say since 02:48",
    ),
    _around(
        r"\bwhat is there\b|\bwhich\b|\blist\b|\bwhat (services|databases|do we)\b|\binventory\b|\boverview\b|\bis\b",
        "what is there: everything by kind",
        everything,
    ),
)
CAN_BE_ASKED_AROUND: Final = tuple(each.example for each in AROUND)


def around_of(question: Question, before: Sequence[str] = ()) -> Around | None:
    """Return what answers a question about the environment, as `way_of` does."""
    texts = [question.text, *(reversed(before) if question.goes_on else ())]
    return next((each for text in texts for each in AROUND if each.pattern.search(text)), None)
