"""Where an incident's telemetry is, when it is not live here: a note in its journal."""

from pathlib import Path

from midwatch.records import Message
from midwatch.storage.journal import Journal, Notes

_KEY, _IMPORTED = "snapshot", "imported"
_ELSEWHERE = (_KEY, _IMPORTED)


def read_from_snapshot(journal: Journal, investigation: str, folder: Path) -> None:
    """Put on record that an incident's telemetry is a snapshot's, so that whoever takes it up reads that."""
    journal.note(investigation, "message", _KEY, Message(text=str(folder)))


def snapshot_of(journal: Journal, investigation: str) -> Path | None:
    """Return the snapshot that holds an incident's telemetry; None when it is live."""
    told = journal.recall(investigation, "message", _KEY, Message)
    return Path(told.text) if told else None


def note_import(notes: Notes, investigation: str, made_by: str, alerts: str) -> None:
    """Put on record that an investigation comes from another journal: nobody here goes on with it by itself.

    `alerts` is the document that holds its alerts as they came, '' for none.
    """
    came = f"; its alerts as they came are evidence {alerts}" if alerts else ""
    said = f"imported; it was exported by {made_by}, and nobody goes on with it here by itself{came}"
    notes.note(investigation, "message", _IMPORTED, Message(text=said))


def is_live(journal: Journal, investigation: str) -> bool:
    """Return whether an incident's telemetry is what the servers here tell: neither a snapshot's nor elsewhere."""
    return all(journal.recall(investigation, "message", key, Message) is None for key in _ELSEWHERE)


def elsewhere(journal: Journal) -> set[str]:
    """Return the incidents that are due and whose telemetry is not live here."""
    return {*journal.last_noted("message", _ELSEWHERE)}
