"""The audit: whether what the journal says still stands on the bytes that were stored. Reads; repairs nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

from midwatch.errors import JournalDamaged
from midwatch.journal import Journal
from midwatch.records import ToolCall
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore, broken_citations
from midwatch_kit.records import Observation


@dataclass(frozen=True)
class Audit:
    """What was checked, and what is wrong; nothing is wrong when `faults` is empty."""

    records: int
    observations: int
    citations: int
    faults: tuple[str, ...]


def audit(investigation: str, journal: Journal, kept: EvidenceStore) -> Audit:
    """Check the chain of records, every document's hash and every citation of every observation."""
    faults: list[str] = []
    records = 0
    try:
        records = journal.check(investigation)
    except JournalDamaged as error:
        faults.append(str(error))
    observations = journal.values(investigation, Observation)
    stored = dict(_documents(journal.values(investigation, ToolCall), observations, kept))
    for observation in observations:
        faults += broken_citations(observation, stored)
    return Audit(
        records=records,
        observations=len(observations),
        citations=sum(len(observation.citations) for observation in observations),
        faults=tuple(dict.fromkeys(faults)),
    )


def _documents(
    calls: list[ToolCall], observations: list[Observation], kept: EvidenceStore
) -> Iterator[tuple[str, bytes]]:
    named = {citation.evidence for observation in observations for citation in observation.citations}
    named |= {call.evidence.id for call in calls if call.evidence}
    for name in sorted(named):
        try:
            yield name, kept.get(name)
        except KitError:
            continue  # a missing document is reported by each citation of it
