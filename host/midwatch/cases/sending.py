"""Sending an investigation on: out of one journal into a file, and from a file into another journal.

What is exported is what is on record, secrets included if they are on record. An imported investigation can be read
like any other; nobody goes on with it here, since its telemetry and its plan's hands are elsewhere.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from midwatch.cases import parcel
from midwatch.cases.snapshot import Source, take
from midwatch.errors import BadParcel
from midwatch.reception.old import as_they_came
from midwatch.records import Incident, ToolCall
from midwatch.storage.audit import Audit, audit
from midwatch.storage.journal import Entry, Journal
from midwatch.storage.snapshots import note_import
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore, canonical


@dataclass(frozen=True)
class Received:
    """What an import came to: the manifest, whether it was here already, and what an audit of it says."""

    contents: parcel.Contents
    new: bool
    audit: Audit


def export(incident: Incident, source: Source, to: Path, *, telemetry: bool) -> parcel.Contents:
    """Write an investigation into a new file; all of it or nothing. `telemetry` takes a snapshot along.

    Raises `BadParcel` when there is something at `to`, or its records are not what was written.
    """
    source.journal.check(incident.id)
    entries = tuple(source.journal.entries(incident.id))
    documents, missing = _documents(entries, source.kept)
    if sum(map(len, documents.values())) > parcel.MOST_UNPACKED // 2 or len(documents) > parcel.MOST_FILES // 2:
        raise BadParcel(f"{incident.id} has more evidence than fits into one file: {len(documents)} documents")
    to.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.absolute().parent) as folder:
        snapshot = Path(folder) / parcel.SNAPSHOT if telemetry else None
        if snapshot:
            take(incident, source, snapshot)
        whole = Path(folder) / "whole"
        whole.touch(mode=0o600)
        try:
            with whole.open("r+b") as file:
                goods = parcel.Goods(entries, documents, missing, _alerts(source.journal, incident.id), snapshot)
                contents = parcel.write(file, goods)
            to.hardlink_to(whole)  # never over what is there
        except FileExistsError:
            raise BadParcel(f"there is something at {to} already: name a new file") from None
        except OSError as error:
            raise BadParcel(f"cannot write {to}: {error.strerror}") from None
    return contents


def receive(path: Path, journal: Journal, kept: EvidenceStore, snapshots: Path) -> Received:
    """Take in an exported investigation, once it is found whole; the same one again changes nothing.

    Its telemetry, if it came along, goes into the folder `snapshots`. Raises `BadParcel`.
    """
    with parcel.read(path) as sent:
        name = sent.contents.incident
        new = _known(journal, sent) is None
        if new:
            for stored in sent.documents():
                kept.put(stored)
            alerts = kept.put(told) if (told := sent.alerts()) else ""
            if parcel.SNAPSHOT in sent.contents.files:
                snapshots.mkdir(mode=0o700, parents=True, exist_ok=True)
                (snapshots / f"{name}.tar.xz").unlink(missing_ok=True)  # of an import that was broken off
                sent.write_snapshot(snapshots / f"{name}.tar.xz")
            with journal.transaction(name) as notes:
                if not notes.adopt(sent.entries):
                    raise BadParcel(f"{name} came on record meanwhile: import it again")
                note_import(notes, name, sent.contents.made_by, alerts)
        return Received(sent.contents, new, audit(name, journal, kept))


@contextmanager
def telemetry_of(path: Path) -> Iterator[Path]:
    """Yield the snapshot in an exported investigation for as long as the block runs; any other path as it is.

    Raises `BadParcel` for one that has none.
    """
    if not parcel.is_parcel(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="midwatch-telemetry-") as folder, parcel.read(path) as sent:
        if not sent.write_snapshot(snapshot := Path(folder) / parcel.SNAPSHOT):
            raise BadParcel(f"{path} has no telemetry to replay: it was exported without --telemetry")
        yield snapshot


def _known(journal: Journal, sent: parcel.Parcel) -> str | None:
    """Return the hash of the record at which a parcel ends, if its records are all here; None when none of it is."""
    here = [entry.hash for entry in journal.entries(sent.contents.incident)]
    if not here:
        return None
    if here[: len(sent.entries)] == [entry.hash for entry in sent.entries]:
        return here[len(sent.entries) - 1]
    raise BadParcel(
        f"{sent.contents.incident} is on record here with other records ({len(here)} here, {len(sent.entries)} in the "
        "file): one of the two went on; nothing was changed"
    )


def _alerts(journal: Journal, name: str) -> bytes:
    with journal.database.reading() as connection:
        return canonical({"rows": as_they_came(connection, name)})


def _documents(entries: tuple[Entry, ...], kept: EvidenceStore) -> tuple[dict[str, bytes], frozenset[str]]:
    """Return every document that the records name, and the ids of those that nobody has any more."""
    documents: dict[str, bytes] = {}
    gone: set[str] = set()
    for name in dict.fromkeys(name for entry in entries for name in parcel.named_in(entry.body)):
        try:
            documents[name] = kept.get(name)
        except KitError:
            gone.add(name)
    expected = {call.evidence.id for call in _calls(entries) if call.evidence}
    expected |= {call.records for call in _calls(entries) if call.records}
    return documents, frozenset(gone & expected)  # another hash in a record is no document's


def _calls(entries: tuple[Entry, ...]) -> list[ToolCall]:
    return [ToolCall.model_validate(entry.body) for entry in entries if entry.type == "tool_call"]
