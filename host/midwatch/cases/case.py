"""Cases: a snapshot, and what an investigation of it has to find. A permanent test of whoever draws the conclusions.

What is expected comes from a person: their feedback, or their word that a conclusion is right. `expected.json` is meant
to be edited; it is no part of what the manifest seals.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from midwatch.cases.findings import Findings, Judged, findings_of
from midwatch.cases.replay import replay
from midwatch.cases.snapshot import Source, take
from midwatch.errors import BadSnapshot
from midwatch.records import Cause, Feedback, Incident, NamedCause, Outcome
from midwatch.settings import Settings
from midwatch_kit.records import Record

NAME = "expected.json"


class Expected(Record):
    """What must come of a case: one of the outcomes, one of the causes first, and each of `ruled_out` refuted."""

    outcomes: tuple[Outcome, ...] = Field(min_length=1)
    causes: tuple[NamedCause, ...] = ()
    ruled_out: tuple[NamedCause, ...] = ()
    said_by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Checked:
    """How a case fared: what was found, in words, and what is wrong with it."""

    case: Path
    found: str
    faults: tuple[str, ...]


def save(incident: Incident, source: Source, to: Path, confirmed_by: str | None) -> Expected:
    """Take a snapshot of an incident and keep beside it what is expected of it.

    Raises `BadSnapshot` when there is neither feedback nor somebody who confirms the conclusion.
    """
    found = findings_of(source.journal, incident.id)
    if found is None:
        raise BadSnapshot(f"{incident.id} has no conclusion yet: a case is made of a finished investigation")
    said = source.journal.values(incident.id, Feedback)
    if not said and confirmed_by is None:
        raise BadSnapshot(
            f"nobody has said what {incident.id} really was: midwatch feedback says so, or --confirm takes the "
            "conclusion for right"
        )
    expected = _by_feedback(said[-1], found) if said else _as_concluded(found, confirmed_by or "")
    take(incident, source, to)
    body = json.dumps(expected.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    (to / NAME).write_text(body, encoding="utf-8")
    return expected


def check(case: Path, otherwise: Settings) -> Checked:
    """Replay a case and compare; a case that cannot be replayed fails with the reason."""
    try:
        expected = _expected_in(case)
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
        yield f"the first cause is {first}, not {' or '.join(map(_text, expected.causes))}"
    for named in expected.ruled_out:
        results = {tested.result for tested in found.tested if tested.is_named_by(named)}
        if results != {"refuted"}:
            yield f"{_text(named)} is not ruled out: {', '.join(sorted(results)) or 'it was not tested'}"


def _by_feedback(said: Feedback, found: Findings) -> Expected:
    """A person's word goes before the conclusion; where both agree, the conclusion's outcome is to be reached again."""
    if not said.causes:
        outcomes: tuple[Outcome, ...] = (Outcome.NO_INCIDENT,)
        ruled_out: tuple[NamedCause, ...] = ()
    elif found.conclusion.root_causes and any(_is(found.conclusion.root_causes[0], named) for named in said.causes):
        outcomes, ruled_out = (found.conclusion.outcome,), _ruled_out(found.tested, said.causes)
    else:
        outcomes, ruled_out = (Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT), ()
    return Expected(outcomes=outcomes, causes=said.causes, ruled_out=ruled_out, said_by=said.by, note=said.note)


def _as_concluded(found: Findings, by: str) -> Expected:
    causes = tuple(_named(cause) for cause in found.conclusion.root_causes[:1])
    ruled_out = _ruled_out(found.tested, causes)
    return Expected(outcomes=(found.conclusion.outcome,), causes=causes, ruled_out=ruled_out, said_by=by)


def _ruled_out(tested: Sequence[Judged], causes: Sequence[NamedCause]) -> tuple[NamedCause, ...]:
    """Return the changes that were refuted: the suspects that any investigation has to look at."""
    refuted = [t for t in tested if t.change and t.result == "refuted" and not any(map(t.is_named_by, causes))]
    named = (NamedCause(kind=t.kind, entity=t.entity, change=t.change) for t in refuted)
    return tuple(sorted(named, key=lambda cause: (cause.kind, cause.entity, cause.change)))


def _expected_in(case: Path) -> Expected:
    try:
        return Expected.model_validate_json((case / NAME).read_bytes())
    except OSError as error:
        raise BadSnapshot(f"{case} is no case: cannot read {NAME}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSnapshot(f"cannot use {case / NAME}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _named(cause: Cause) -> NamedCause:
    change = cause.trigger.attributes.get("change_id", "") if cause.trigger else ""
    return NamedCause(kind=cause.kind, entity=cause.entity, change=change)


def _is(cause: Cause, named: NamedCause) -> bool:
    same_place = (cause.kind, cause.entity) == (named.kind, named.entity)
    return same_place and named.change in ("", _named(cause).change)


def _text(named: NamedCause) -> str:
    return f"{named.kind} at {named.entity}" + (f" ({named.change})" if named.change else "")
