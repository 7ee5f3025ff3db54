"""What an answer cites, by short names that can be opened: `[0656d7f6/rows/1]`, `[r37]`, and the packet's `[E3]`.

The first is a place in stored bytes: the first digits of their hash, and a JSON Pointer (RFC 6901). The second is a
record of the journal by its number. They stay what they are for good; only those of the packet are of its conclusion.
"""

import json
import re
from typing import Final

from jsonpointer import JsonPointerException, resolve_pointer
from pydantic import JsonValue

from midwatch.claude.untrusted import visible
from midwatch.reading.packet import evidence_index
from midwatch.records import Incident
from midwatch.records.message import Statement
from midwatch.storage.journal import Journal
from midwatch_kit.errors import BadInput, NotFound
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Observation

DIGITS: Final = 8
_SHOWN: Final = 3
_ROW: Final = 3
"""Parts of the name of a row: the document, `rows`, and its number."""
_RECORD: Final = re.compile(r"r(\d+)")
_OF_PACKET: Final = re.compile(r"E\d+")


def is_evidence(handle: str) -> bool:
    """Whether a handle names a document as a whole."""
    return "/" not in handle and not names_record(handle)


def names_record(handle: str) -> bool:
    """Whether a handle is of an incident: a record of it, or a name in its packet."""
    name = handle.strip().strip("[]")
    return bool(_RECORD.fullmatch(name) or _OF_PACKET.fullmatch(name))


def line(statement: Statement) -> str:
    """Return a statement with what it cites behind it: of several places in one row, the first.

    What cannot be seen is left out: a log line could move a terminal's cursor.
    """
    rows: dict[str, str] = {}
    for name in handles(statement):
        rows.setdefault("/".join(name.split("/")[:_ROW]), name)
    names = [*rows.values()]
    more = [f"+{len(names) - _SHOWN}"] if len(names) > _SHOWN else []
    text = visible(statement.text)
    return f"{text}  [{', '.join([*names[:_SHOWN], *more])}]" if names else text


def handles(statement: Statement) -> list[str]:
    """Return the short names of all that a statement cites."""
    places = [f"{cited.evidence[:DIGITS]}{cited.where}" for cited in statement.citations]
    whole = [name[:DIGITS] for name in statement.evidence]
    of = f" of {statement.incident}" if statement.incident else ""
    return list(dict.fromkeys([*places, *whole, *(f"r{number}{of}" for number in statement.records)]))


def opened(handle: str, kept: EvidenceStore, journal: Journal, incident: Incident | None) -> JsonValue:
    """Return what a handle names: a value of stored bytes, or a record of an incident's journal.

    Raises `BadInput` for what is no handle, or names a record while there is no incident, and `NotFound`.
    """
    name = handle.strip().strip("[]")
    if found := _RECORD.fullmatch(name):
        return _record(int(found[1]), journal, incident)
    if _OF_PACKET.fullmatch(name):
        return _of_packet(name, journal, incident)
    evidence, slash, place = name.partition("/")
    document: JsonValue = json.loads(kept.get(kept.named(evidence)))
    try:
        value: JsonValue = resolve_pointer(document, f"/{place}" if slash else "")
    except JsonPointerException:
        raise NotFound(f"evidence {evidence} has nothing at /{place}") from None
    return value


def _record(number: int, journal: Journal, incident: Incident | None) -> JsonValue:
    if incident is None:
        raise BadInput("a record is of an incident: name it as well")
    found = next((e for e in journal.entries(incident.id, number - 1) if e.seq == number), None)
    if found is None:
        raise NotFound(f"{incident.id} has no record {number}")
    told: JsonValue = found.model_dump(mode="json", exclude={"prev_hash", "hash"})
    return told


def _of_packet(name: str, journal: Journal, incident: Incident | None) -> JsonValue:
    if incident is None:
        raise BadInput("a name of a packet is of an incident: name it as well")
    index = {short: seen for seen, short in evidence_index(incident, journal).items()}
    seen = next((o for o in journal.values(incident.id, Observation) if o.id == index.get(name)), None)
    if seen is None:
        raise NotFound(f"the packet of {incident.id} has no {name}")
    told: JsonValue = seen.model_dump(mode="json")
    return told
