"""Evidence: documents named by the hash of their bytes, kept within a bound, readable by page and by pattern.

A document is canonical JSON in ASCII, so that the same rows always have the same id and a page of characters is a
page of bytes. What a citation quotes is looked up in the stored bytes, never in anybody's memory of them.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jsonpointer import JsonPointerException, resolve_pointer
from pydantic import JsonValue

from midwatch_kit.errors import BadInput, NotFound
from midwatch_kit.records import Citation, Observation

PAGE_CHARS = 64_000
"""Characters (and bytes) in one page of a document."""

_ID = re.compile(r"[0-9a-f]{64}")


def canonical(document: JsonValue) -> bytes:
    """Return `document` as JSON bytes with sorted keys, without spaces, in ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def evidence_id(stored: bytes) -> str:
    """Return the id of a document: the sha256 of its bytes, in hex."""
    return hashlib.sha256(stored).hexdigest()


class EvidenceStore:
    """A folder of documents named by their hash; the oldest go when `max_bytes` is passed.

    One process may write while others read: files appear whole, by rename.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._bytes: int | None = None

    def put(self, stored: bytes) -> str:
        """Keep a document and return its id; the same bytes are kept once."""
        name = evidence_id(stored)
        path = self._path(name)
        if path.exists():
            path.touch()
            return name
        path.parent.mkdir(parents=True, exist_ok=True)
        half_written = path.with_suffix(".part")
        half_written.write_bytes(stored)
        half_written.replace(path)
        self._make_room(len(stored))
        return name

    def get(self, name: str) -> bytes:
        """Return a document's bytes; raises `NotFound` when it was never kept or had to make room."""
        if not _ID.fullmatch(name):
            raise BadInput(f"{name[:80]!r} is not an evidence id: an id is 64 hexadecimal digits")
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no evidence {name} is kept here: repeat the query that gave it") from None

    def page(self, name: str, number: int) -> str:
        """Return page `number` (from 0) of a document, `PAGE_CHARS` characters long but for the last."""
        text = self.get(name).decode("ascii")
        pages = max(1, -(-len(text) // PAGE_CHARS))
        if not 0 <= number < pages:
            raise NotFound(f"evidence {name} has pages 0 to {pages - 1}, not {number}")
        return text[number * PAGE_CHARS : (number + 1) * PAGE_CHARS]

    def grep(self, name: str, text: str) -> list[str]:
        """Return the rows of a document that contain `text`, in any case, each as JSON, up to one page of them."""
        rows = json.loads(self.get(name)).get("rows", [])
        found: list[str] = []
        for row in rows:
            line = json.dumps(row, sort_keys=True)
            if text.casefold() in line.casefold():
                found.append(line)
            if sum(map(len, found)) > PAGE_CHARS:
                break
        return found

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.json"

    def _make_room(self, added: int) -> None:
        self._bytes = self._measure() if self._bytes is None else self._bytes + added
        if self._bytes <= self._max_bytes:
            return
        for path in sorted(self.folder.glob("*/*.json"), key=lambda file: file.stat().st_mtime)[:-1]:
            self._bytes -= path.stat().st_size
            path.unlink(missing_ok=True)
            if self._bytes <= self._max_bytes * 0.8:
                return

    def _measure(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("*/*.json"))


def cite(name: str, document: JsonValue, pointers: Iterable[str]) -> tuple[Citation, ...]:
    """Return citations of the places that `pointers` name, each quoting what stands there."""
    return tuple(Citation(evidence=name, where=where, quote=resolve_pointer(document, where)) for where in pointers)


def broken_citations(observation: Observation, stored: dict[str, bytes]) -> Sequence[str]:
    """Return what is wrong with an observation's citations, in words; nothing when each one checks out.

    `stored` holds the documents by id. A citation holds when the bytes still have the hash that names them and the
    quoted value stands where it says.
    """
    if not observation.citations:
        return [f"observation {observation.id} cites nothing"]
    return [fault for citation in observation.citations if (fault := _fault(citation, stored))]


def _fault(citation: Citation, stored: dict[str, bytes]) -> str | None:
    if (found := stored.get(citation.evidence)) is None:
        return f"evidence {citation.evidence} is missing"
    if evidence_id(found) != citation.evidence:
        return f"evidence {citation.evidence} was changed: its bytes have another hash"
    try:
        value: JsonValue = resolve_pointer(json.loads(found), citation.where)
    except (JsonPointerException, ValueError):
        return f"evidence {citation.evidence} has nothing at {citation.where}"
    if value != citation.quote:
        return f"evidence {citation.evidence} says {value!r} at {citation.where}, not {citation.quote!r}"
    return None
