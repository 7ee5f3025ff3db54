"""The audit: whatever no longer stands on the stored bytes is found and named."""

from pathlib import Path

import pytest
from pydantic import JsonValue

from midwatch.records import Message, ToolCall
from midwatch.records.message import Statement
from midwatch.storage.audit import audit
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore, canonical, cite
from midwatch_kit.records import Citation, Evidence, Observation, ObservationKind, Signal


@pytest.fixture
def kept(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence", 2**40)


@pytest.fixture
def documents(journal: Journal, kept: EvidenceStore) -> dict[str, str]:
    """Put one investigation on record and return the ids of its documents, by what they are."""
    document: JsonValue = {"rows": [{"errors": 118, "requests": 380, "message": "no such column: finish"}]}
    ids = {
        "cited": kept.put(canonical(document)),
        "uncited": kept.put(canonical({"rows": ["a trace"]})),
        "records": kept.put(canonical({"observations": []})),
    }
    for name, records in (("cited", ids["records"]), ("uncited", None)):
        call = ToolCall(server="s", tool="t", arguments={}, records=records, evidence=evidence(ids[name]))
        journal.note("one", "tool_call", name, call)
    seen = observation(*cite(ids["cited"], document, ["/rows/0/errors", "/rows/0/message"]))
    journal.note("one", "observation", "o", seen)
    return ids


def evidence(name: str) -> Evidence:
    return Evidence(id=name, server="s", tool="t")


def observation(*citations: Citation) -> Observation:
    return Observation(
        id="o",
        entity="service:forge",
        kind=ObservationKind.SPIKE,
        subject="error_rate",
        statement="118 of 380 requests fail",
        signal=Signal.TRACES,
        citations=citations,
    )


def path_of(kept: EvidenceStore, name: str) -> Path:
    return next(kept.folder.rglob(f"{name}.json"))


def test_what_was_not_touched_stands(journal: Journal, kept: EvidenceStore, documents: dict[str, str]) -> None:
    checked = audit("one", journal, kept)
    assert checked.faults == ()
    assert (checked.records, checked.observations, checked.citations) == (3, 1, 2)


@pytest.mark.parametrize("which", ["cited", "uncited", "records"])
def test_one_changed_byte_in_one_document_is_found_and_named(
    journal: Journal, kept: EvidenceStore, documents: dict[str, str], which: str
) -> None:
    path = path_of(kept, documents[which])
    stored = bytearray(path.read_bytes())
    stored[-3] ^= 1
    path.write_bytes(stored)
    assert audit("one", journal, kept).faults == (
        f"evidence {documents[which]} was changed: its bytes have another hash",
    )


@pytest.mark.parametrize("which", ["cited", "uncited", "records"])
def test_a_missing_document_is_found_and_named(
    journal: Journal, kept: EvidenceStore, documents: dict[str, str], which: str
) -> None:
    path_of(kept, documents[which]).unlink()
    assert audit("one", journal, kept).faults == (f"evidence {documents[which]} is missing",)


def test_a_quote_that_does_not_stand_where_it_is_said_to_is_found(
    journal: Journal, kept: EvidenceStore, documents: dict[str, str]
) -> None:
    wrong = Citation(evidence=documents["cited"], where="/rows/0/errors", quote=119)
    gone = Citation(evidence=documents["cited"], where="/rows/7", quote=1)
    journal.note("one", "observation", "p", observation(wrong, gone))
    faults = audit("one", journal, kept).faults
    assert len(faults) == 2
    assert "says 118 at /rows/0/errors, not 119" in faults[0]
    assert "has nothing at /rows/7" in faults[1]


def test_an_observation_that_cites_nothing_is_found(
    journal: Journal, kept: EvidenceStore, documents: dict[str, str]
) -> None:
    journal.note("one", "observation", "p", observation())
    assert audit("one", journal, kept).faults == ("observation o cites nothing",)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"118 of 380", b"119 of 380"), (b'"statement"', b'"stat!ment"'), (b'"statement":', b'"statement";')],
)
def test_a_changed_record_is_found_whether_or_not_it_can_still_be_read(
    journal: Journal, kept: EvidenceStore, documents: dict[str, str], tmp_path: Path, old: bytes, new: bytes
) -> None:
    journal.close()
    path = tmp_path / "journal.db"
    stored = path.read_bytes()
    assert stored.count(old) == 1
    path.write_bytes(stored.replace(old, new))
    faults = audit("one", Journal(path), kept).faults
    assert len(faults) == 1
    assert "is not what was written" in faults[0]


def test_what_an_answer_quotes_is_looked_up_as_well(
    journal: Journal, kept: EvidenceStore, documents: dict[str, str]
) -> None:
    said = Citation(evidence=documents["cited"], where="/rows/0/errors", quote=118)
    stands = Statement(text="118 fail", citations=(said,), evidence=(documents["uncited"],))
    journal.note("one", "message", "answered:1", Message(text="", statements=(stands,)))
    checked = audit("one", journal, kept)
    assert (checked.citations, checked.faults) == (3, ())
    lies = Statement(text="7 fail", citations=(said.model_copy(update={"quote": 7}),), evidence=("e" * 64,))
    journal.note("one", "message", "answered:2", Message(text="", statements=(lies,)))
    missing, false = audit("one", journal, kept).faults
    assert missing == f"evidence {'e' * 64} is missing"
    assert false == f"evidence {documents['cited']} says 118 at /rows/0/errors, not 7"
