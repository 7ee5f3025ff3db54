"""The audit: whether what the journal says still stands on the bytes that were stored. Reads; repairs nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from midwatch.errors import JournalDamaged
from midwatch.records import Message, ModelCall, Plan, ToolCall
from midwatch.records.recommendation import Recommendation
from midwatch.storage.journal import Journal
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore, broken_citations, evidence_id, fault_of
from midwatch_kit.records import Citation, Observation


@dataclass(frozen=True)
class Audit:
    """What was checked, and what is wrong; nothing is wrong when `faults` is empty."""

    records: int
    observations: int
    citations: int
    faults: tuple[str, ...]


def audit(investigation: str, journal: Journal, kept: EvidenceStore) -> Audit:
    """Check the chain of records, every document's hash, and every citation of observations, answers and plans."""
    try:
        records = journal.check(investigation)
        observations = journal.values(investigation, Observation)
        calls = journal.values(investigation, ToolCall)
        said = [statement for message in journal.values(investigation, Message) for statement in message.statements]
    except JournalDamaged as error:  # what cannot be trusted to be what was written is not read any further
        return Audit(records=0, observations=0, citations=0, faults=(str(error),))
    answers = [citation for statement in said for citation in statement.citations]
    answers += [citation for cites in _vouched(journal, investigation) for citation in cites]
    named = {name for statement in said for name in statement.evidence}
    named |= {call.answer for call in journal.values(investigation, ModelCall) if call.answer}
    stored, faults = _documents(_named(calls, observations, answers) | named, kept)
    for observation in observations:
        faults += broken_citations(observation, stored)
    faults += [fault for citation in answers if (fault := fault_of(citation, stored))]
    return Audit(
        records=records,
        observations=len(observations),
        citations=sum(len(observation.citations) for observation in observations) + len(answers),
        faults=tuple(dict.fromkeys(faults)),
    )


def _vouched(journal: Journal, investigation: str) -> Iterator[tuple[Citation, ...]]:
    """Yield what a model's part in plans and fixes cites."""
    yield from (step.cites for plan in journal.values(investigation, Plan) for step in plan.steps)
    yield from (told.spec.cites for told in journal.values(investigation, Recommendation))


def _named(calls: Iterable[ToolCall], observations: Iterable[Observation], answers: Iterable[Citation]) -> set[str]:
    """Return the ids of all documents that the records name, cited or not."""
    cited = {citation.evidence for citation in answers}
    cited |= {citation.evidence for observation in observations for citation in observation.citations}
    given = {name for call in calls if call.evidence for name in (call.evidence.id, call.records) if name}
    return cited | given


def _documents(names: Iterable[str], kept: EvidenceStore) -> tuple[dict[str, bytes], list[str]]:
    """Return the documents by name, and what is wrong with them, in the words in which a citation says it."""
    stored: dict[str, bytes] = {}
    faults: list[str] = []
    for name in sorted(names):
        try:
            stored[name] = kept.get(name)
        except KitError:
            faults.append(f"evidence {name} is missing")
            continue
        if evidence_id(stored[name]) != name:
            faults.append(f"evidence {name} was changed: its bytes have another hash")
    return stored, faults
