"""Where an incident's telemetry is, when it is not live: a note in its journal."""

from pathlib import Path

from midwatch.journal import Journal
from midwatch.records import Message

_KEY = "snapshot"


def read_from_snapshot(journal: Journal, investigation: str, folder: Path) -> None:
    """Put on record that an incident's telemetry is a snapshot's, so that whoever takes it up reads that."""
    journal.note(investigation, "message", _KEY, Message(text=str(folder)))


def snapshot_of(journal: Journal, investigation: str) -> Path | None:
    """Return the snapshot that holds an incident's telemetry; None when it is live."""
    told = journal.recall(investigation, "message", _KEY, Message)
    return Path(told.text) if told else None
