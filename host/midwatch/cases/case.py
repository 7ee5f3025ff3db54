"""Cases: a snapshot, and what an investigation of it has to find. A permanent test of whoever draws the conclusions.

What is expected comes from a person: what they say when they save a case, or else their feedback, or their word that
the conclusion is right. `expected.json` is meant to be edited; it is no part of what the manifest seals.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from midwatch.cases.replay import replay
from midwatch.cases.snapshot import Source, take
from midwatch.errors import BadSnapshot
from midwatch.reading.findings import Findings, Judged, findings_of
from midwatch.records import Cause, Feedback, HypothesisKind, Incident, Outcome, Scope
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch_kit.records import EntityId, Record
from midwatch_topology import UnknownEntity

NAME = "expected.json"
NAMES_A_CAUSE = (Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT)


class Suspect(Record):
    """A cause as a case names it: at an entity, and of a kind and of a change where these are given."""

    kind: HypothesisKind | None = None
    entity: EntityId
    change: str = ""

    def means(self, kind: HypothesisKind, entity: EntityId, change: str) -> bool:
        """Return whether a cause, or a hypothesis of one, is the one that is named here."""
        return self.entity == entity and self.kind in (None, kind) and self.change in ("", change)

    def __str__(self) -> str:
        """Return it in words."""
        return (f"{self.kind} at " if self.kind else "") + self.entity + (f" ({self.change})" if self.change else "")


class Expected(Record):
    """What must come of a case: one of the outcomes, one of the causes first, and each of `ruled_out` refuted."""

    outcomes: tuple[Outcome, ...] = Field(min_length=1)
    causes: tuple[Suspect, ...] = ()
    ruled_out: tuple[Suspect, ...] = ()
    said_by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Said:
    """What the person who saves a case says: what is to be expected, or that the conclusion is right, or nothing.

    What they expect goes before feedback and conclusion; what they want ruled out comes to what was.
    """

    by: str = ""
    confirms: bool = False
    outcomes: tuple[Outcome, ...] = ()
    causes: tuple[Suspect, ...] = ()
    ruled_out: tuple[Suspect, ...] = ()


@dataclass(frozen=True)
class Checked:
    """How a case fared: what was found, in words, and what is wrong with it."""

    case: Path
    found: str
    faults: tuple[str, ...]


def save(incident: Incident, source: Source, to: Path, said: Said) -> Expected:
    """Take a snapshot of an incident and keep beside it what is expected of it.

    Raises `BadSnapshot` when nobody says what to expect (not now, not by feedback, not by confirming the conclusion),
    and when it is something that the investigation knows nothing of: such a case could never be passed.
    """
    found = findings_of(source.journal, incident.id)
    if found is None:
        raise BadSnapshot(f"{incident.id} has no conclusion yet: a case is made of a finished investigation")
    known = {tested.entity for tested in found.tested} | _mapped(source.journal, incident.id)
    for named in (*said.causes, *said.ruled_out):
        if named.entity not in known:
            raise BadSnapshot(f"{incident.id} knows nothing of it: {UnknownEntity(named.entity, known)}")
    expected = _expected(said, source.journal.values(incident.id, Feedback), found)
    if expected is None:
        raise BadSnapshot(
            f"nobody has said what {incident.id} really was: midwatch feedback says so, --expect or --outcome do here, "
            "or --confirm takes the conclusion for right"
        )
    take(incident, source, to)
    body = json.dumps(expected.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    (to / NAME).write_text(body, encoding="utf-8")
    return expected


def _mapped(journal: Journal, investigation: str) -> set[EntityId]:
    return {entity.id for scope in journal.values(investigation, Scope) for entity in scope.topology.entities}


def check(case: Path, otherwise: Settings) -> Checked:
    """Replay a case and compare; a case that cannot be replayed fails with the reason."""
    try:
        expected = expected_in(case)
        with tempfile.TemporaryDirectory(prefix="midwatch-case-") as folder:
            found = replay(case, Path(folder), otherwise).findings
    except BadSnapshot as error:
        return Checked(case, "not replayed", (str(error),))
    causes = ", ".join(f"{cause.kind} at {cause.entity}" for cause in found.conclusion.root_causes)
    told = f"{found.conclusion.outcome}{f', {causes}' if causes else ''}"
    return Checked(case, told, tuple(faults(expected, found)))


def faults(expected: Expected, found: Findings) -> Iterator[str]:
    """Tell what is not as expected; nothing when all is."""
    outcome, causes = found.conclusion.outcome, found.conclusion.root_causes
    if outcome not in expected.outcomes:
        yield f"the outcome is {outcome}, not {' or '.join(expected.outcomes)}"
    if expected.causes and not any(_is(causes[0], named) for named in expected.causes if causes):
        first = f"{causes[0].kind} at {causes[0].entity}" if causes else "nothing"
        yield f"the first cause is {first}, not {' or '.join(map(str, expected.causes))}"
    for named in expected.ruled_out:
        results = {tested.result for tested in found.tested if named.means(tested.kind, tested.entity, tested.change)}
        if results != {"refuted"}:
            yield f"{named} is not ruled out: {', '.join(sorted(results)) or 'it was not tested'}"


def _expected(said: Said, feedback: Sequence[Feedback], found: Findings) -> Expected | None:
    """What is expected, by who knows it best: who saves the case, then feedback, then the conclusion if confirmed."""
    if said.outcomes or said.causes:
        expected = Expected(outcomes=said.outcomes or NAMES_A_CAUSE, causes=said.causes, said_by=said.by)
    elif feedback:
        expected = _by_feedback(feedback[-1], found)
    elif said.confirms:
        expected = _as_concluded(found, said.by)
    else:
        return None
    every = dict.fromkeys((*expected.ruled_out, *said.ruled_out))
    return expected.model_copy(update={"ruled_out": tuple(every)})


def _by_feedback(said: Feedback, found: Findings) -> Expected:
    """A person's word goes before the conclusion; where both agree, the conclusion's outcome is to be reached again."""
    causes = tuple(Suspect(entity=named.entity, kind=named.kind, change=named.change) for named in said.causes)
    if not causes:
        outcomes: tuple[Outcome, ...] = (Outcome.NO_INCIDENT,)
        ruled_out: tuple[Suspect, ...] = ()
    elif found.conclusion.root_causes and any(_is(found.conclusion.root_causes[0], named) for named in causes):
        outcomes, ruled_out = (found.conclusion.outcome,), _ruled_out(found.tested, causes)
    else:
        outcomes, ruled_out = NAMES_A_CAUSE, ()
    return Expected(outcomes=outcomes, causes=causes, ruled_out=ruled_out, said_by=said.by, note=said.note)


def _as_concluded(found: Findings, by: str) -> Expected:
    causes = tuple(_named(cause) for cause in found.conclusion.root_causes[:1])
    ruled_out = _ruled_out(found.tested, causes)
    return Expected(outcomes=(found.conclusion.outcome,), causes=causes, ruled_out=ruled_out, said_by=by)


def _ruled_out(tested: Sequence[Judged], causes: Sequence[Suspect]) -> tuple[Suspect, ...]:
    """Return the changes that were refuted: the suspects that any investigation has to look at."""
    refuted = [t for t in tested if t.change and t.result == "refuted"]
    others = [t for t in refuted if not any(named.means(t.kind, t.entity, t.change) for named in causes)]
    in_order = sorted((t.kind, t.entity, t.change) for t in others)
    return tuple(Suspect(kind=kind, entity=entity, change=change) for kind, entity, change in in_order)


def expected_in(case: Path) -> Expected:
    """Return what is expected of a case; raises `BadSnapshot` when it does not say, or not so that it can be used."""
    try:
        return Expected.model_validate_json((case / NAME).read_bytes())
    except OSError as error:
        raise BadSnapshot(f"{case} is no case: cannot read {NAME}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSnapshot(f"cannot use {case / NAME}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _named(cause: Cause) -> Suspect:
    change = cause.trigger.attributes.get("change_id", "") if cause.trigger else ""
    return Suspect(kind=cause.kind, entity=cause.entity, change=change)


def _is(cause: Cause, named: Suspect) -> bool:
    return named.means(cause.kind, cause.entity, _named(cause).change)
