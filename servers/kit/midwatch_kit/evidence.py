"""Evidence: documents named by the hash of their bytes, kept within a bound, readable by page and by pattern.

A document is canonical JSON in ASCII, so that the same rows always have the same id and a page of characters is a
page of bytes. What a citation quotes is looked up in the stored bytes, never in anybody's memory of them.
"""

import functools
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from jsonpointer import JsonPointerException, resolve_pointer
from pydantic import JsonValue

from midwatch_kit.errors import BackendDown, BadInput, NotFound
from midwatch_kit.records import Citation, Observation

PAGE_CHARS = 64_000
"""Characters (and bytes) in one page of a document."""

_ID = re.compile(r"[0-9a-f]{64}")
_BEGINNING = re.compile(r"[0-9a-f]{8,64}")


def canonical(document: JsonValue) -> bytes:
    """Return `document` as JSON bytes with sorted keys, without spaces, in ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def evidence_id(stored: bytes) -> str:
    """Return the id of a document: the sha256 of its bytes, in hex."""
    return hashlib.sha256(stored).hexdigest()


class EvidenceStore:
    """A folder of documents named by their hash; the oldest go when `max_bytes` is passed.

    Any number of processes and threads may share the folder: files appear whole, by rename. Only its owner may read it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._added = 0
        self._measured = max_bytes  # until it is looked at, the folder counts as full
        self._lock = threading.Lock()

    def put(self, stored: bytes) -> str:
        """Keep a document and return its id; the same bytes are kept once. Raises `BackendDown` if the disk refuses."""
        name = evidence_id(stored)
        path = self._path(name)
        try:
            if not _touched(path):
                self._write(path, stored)
                self._make_room(len(stored))
        except OSError as error:
            raise BackendDown(
                f"cannot keep evidence in {self.folder} ({error.strerror}): free space there, "
                "or name another folder in MIDWATCH_EVIDENCE_DIR"
            ) from error
        return name

    def get(self, name: str) -> bytes:
        """Return a document's bytes; raises `NotFound` when it was never kept or had to make room."""
        if not _ID.fullmatch(name):
            raise BadInput(f"{name[:80]!r} is not an evidence id: an id is 64 hexadecimal digits")
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no evidence {name} is kept here: repeat the query that gave it") from None

    def named(self, beginning: str) -> str:
        """Return the id of the one document whose id begins so, with eight digits or more.

        Raises `BadInput` for what begins no id, and for more than one document, and `NotFound`.
        """
        if not _BEGINNING.fullmatch(beginning):
            raise BadInput(
                f"{beginning[:80]!r} is not an evidence id: an id is 64 hexadecimal digits, and 8 or more name it"
            )
        found = [path.stem for path in self.folder.glob(f"{beginning[:2]}/{beginning}*.json")]
        if not found:
            raise NotFound(f"no evidence {beginning} is kept here: repeat the query that gave it")
        if len(found) > 1:
            raise BadInput(f"{len(found)} documents begin with {beginning}: give more digits")
        return found[0]

    def page(self, name: str, number: int) -> str:
        """Return page `number` (from 0) of a document, `PAGE_CHARS` characters long but for the last."""
        text = self.get(name).decode("ascii")
        pages = max(1, -(-len(text) // PAGE_CHARS))
        if not 0 <= number < pages:
            raise NotFound(f"evidence {name} has pages 0 to {pages - 1}, not {number}")
        return text[number * PAGE_CHARS : (number + 1) * PAGE_CHARS]

    def grep(self, name: str, text: str) -> list[str]:
        """Return the rows of a document that contain `text`, in any case, each as JSON, up to one page of them.

        When there are more, the last line is not a row but says how many.
        """
        lines = (
            json.dumps(row, sort_keys=True, ensure_ascii=False) for row in json.loads(self.get(name)).get("rows", [])
        )
        found = [line for line in lines if text.casefold() in line.casefold()]
        shown = 0
        for count, line in enumerate(found):
            shown += len(line) + 1
            if count and shown > PAGE_CHARS:
                return [*found[:count], f"… and {len(found) - count} more rows contain it: give a longer text"]
        return found

    def untouched_since(self, moment: datetime, prefix: str) -> list[str]:
        """Return the ids of documents that begin with two hex digits, and that nobody put since a moment."""
        old = []
        for path in self.folder.glob(f"{prefix}/*.json"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < moment.timestamp():
                    old.append(path.stem)
        return sorted(old)

    def drop(self, names: Iterable[str]) -> None:
        """Forget documents; those that are not there are no error."""
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.json"

    def _write(self, path: Path, stored: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        number, half_written = tempfile.mkstemp(suffix=".part", dir=path.parent)  # a name that no other writer has
        try:
            with os.fdopen(number, "wb") as file:
                file.write(stored)
            Path(half_written).replace(path)
        except OSError:
            Path(half_written).unlink(missing_ok=True)
            raise

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._added += added
            if self._added <= self._max_bytes / 16 and self._measured + self._added <= self._max_bytes:
                return
            kept = sorted(self._kept())  # others may share the folder, so it is measured again now and then
            self._added, self._measured = 0, sum(size for _, size, _ in kept)
            if self._measured > self._max_bytes:
                self._drop(kept[:-1])

    def _drop(self, oldest_first: Sequence[tuple[int, int, Path]]) -> None:
        for _, size, path in oldest_first:
            if self._measured <= self._max_bytes * 0.8:
                return
            path.unlink(missing_ok=True)
            self._measured -= size

    def _kept(self) -> Iterator[tuple[int, int, Path]]:
        for path in self.folder.glob("*/*"):  # what a killed writer left half-written ages out as well
            with suppress(FileNotFoundError):
                stat = path.stat()
                yield stat.st_mtime_ns, stat.st_size, path


def _touched(path: Path) -> bool:
    """Make a document the youngest; False when it is not there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def cite(name: str, document: JsonValue, pointers: Iterable[str]) -> tuple[Citation, ...]:
    """Return citations of the places that `pointers` name, each quoting what stands there."""
    return tuple(Citation(evidence=name, where=where, quote=resolve_pointer(document, where)) for where in pointers)


def value_at(document: JsonValue, pointer: str) -> JsonValue:
    """Return what stands where a JSON Pointer (RFC 6901) leads, the whole for ''; None when nothing stands there."""
    try:
        found: JsonValue = resolve_pointer(document, pointer)
    except JsonPointerException:
        return None
    return found


def broken_citations(observation: Observation, stored: dict[str, bytes]) -> Sequence[str]:
    """Return what is wrong with an observation's citations, in words; nothing when each one checks out.

    `stored` holds the documents by id. A citation holds when the bytes still have the hash that names them and the
    quoted value stands where it says; a quoted text may be a part of the text there.
    """
    if not observation.citations:
        return [f"observation {observation.id} cites nothing"]
    return [fault for citation in observation.citations if (fault := fault_of(citation, stored))]


def fault_of(citation: Citation, stored: dict[str, bytes]) -> str | None:
    """Return what is wrong with one citation, in words; None when it holds, as for `broken_citations`."""
    if (found := stored.get(citation.evidence)) is None:
        return f"evidence {citation.evidence} is missing"
    if _id_of(found) != citation.evidence:
        return f"evidence {citation.evidence} was changed: its bytes have another hash"
    try:
        value: JsonValue = resolve_pointer(_document(found), citation.where)
    except (JsonPointerException, ValueError):
        return f"evidence {citation.evidence} has nothing at {citation.where}"
    part_of_text = isinstance(value, str) and isinstance(citation.quote, str) and citation.quote in value
    if value != citation.quote and not part_of_text:
        return f"evidence {citation.evidence} says {value!r} at {citation.where}, not {citation.quote!r}"
    return None


# A survey cites one document hundreds of times: it is hashed and parsed once.
_id_of = functools.lru_cache(maxsize=2)(evidence_id)
_document = functools.lru_cache(maxsize=2)(json.loads)
