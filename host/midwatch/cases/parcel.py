"""An investigation as one file: a zip with a manifest, the journal's records as they were written, and all evidence.

    manifest.json              what is in it, and the sha256 of every other file
    records.jsonl              one record a line, in order, with its hashes
    evidence/<sha256>.json     every document that a record names
    alerts.json                every alert of the incident as it came, and what became of it
    snapshot.tar.xz            the telemetry, where somebody wanted it along

The same investigation gives the same bytes. Reading takes nothing on trust: no name leads anywhere, nothing is unpacked
to a disk, and no more is read than is allowed to be there.
"""

import hashlib
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import IO, Final, Literal

from pydantic import Field, JsonValue, ValidationError

from midwatch.errors import BadParcel
from midwatch.storage.journal import Entry, hash_of
from midwatch_kit.evidence import canonical, evidence_id
from midwatch_kit.records import Record

MANIFEST, RECORDS, ALERTS, SNAPSHOT = "manifest.json", "records.jsonl", "alerts.json", "snapshot.tar.xz"
_NAME: Final = re.compile(r"manifest\.json|records\.jsonl|alerts\.json|snapshot\.tar\.xz|evidence/[0-9a-f]{64}\.json")
_INVESTIGATION: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_BLOCK: Final = 2**20
_UNREADABLE: Final = (
    EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, zlib.error, struct.error,
    UnicodeDecodeError,
)  # fmt: skip
"""What zipfile raises over a file that somebody damaged."""
MOST_FILES: Final = 200_000
MOST_PACKED: Final = 2 * 2**30
MOST_OF: Final = {MANIFEST: 64 * 2**20, RECORDS: 2**30, ALERTS: 2**30, SNAPSHOT: 2 * 2**30}
MOST_OF_DOCUMENT: Final = 256 * 2**20
MOST_UNPACKED: Final = 8 * 2**30


class Contents(Record):
    """The manifest; `digest` is the hash of all the rest of it, `last_hash` that of the last record."""

    kind: Literal["midwatch investigation"] = "midwatch investigation"
    format: Literal[1] = 1
    made_by: str
    incident: str
    records: int = Field(ge=1)
    last_hash: str
    missing: tuple[str, ...] = Field((), description="ids of evidence that records name and nobody had any more")
    files: dict[str, str] = Field(description="the sha256 of each file, by its name")
    digest: str = ""


@dataclass(frozen=True)
class Parcel:
    """A parcel that was read and found whole; documents are read one by one, and checked again as they are."""

    contents: Contents
    entries: tuple[Entry, ...]
    _zip: zipfile.ZipFile

    def documents(self) -> Iterator[bytes]:
        """Yield every document of evidence."""
        for name in self.contents.files:
            if name.startswith("evidence/"):
                stored = b"".join(_blocks(self._zip, name))
                if evidence_id(stored) != _id_in(name):
                    raise BadParcel(f"{name} has other bytes than its name says")
                yield stored

    def alerts(self) -> bytes | None:
        """Return the alerts as they came, a JSON document; None where the parcel has none."""
        return b"".join(_blocks(self._zip, ALERTS)) if ALERTS in self.contents.files else None

    def write_snapshot(self, to: Path) -> bool:
        """Write the telemetry that came along to a new file; False when none came along."""
        if SNAPSHOT not in self.contents.files:
            return False
        with to.open("xb") as file:
            for block in _blocks(self._zip, SNAPSHOT):
                file.write(block)
        return True


def named_in(value: JsonValue) -> Iterator[str]:
    """Yield whatever in a record may be the id of a document."""
    if isinstance(value, str):
        yield from _ID.findall(value)
    elif isinstance(value, list):
        for each in value:
            yield from named_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from named_in(each)


@dataclass(frozen=True)
class Goods:
    """What goes into a parcel: records, documents by id, the ids of those that are gone, alerts, and telemetry."""

    entries: tuple[Entry, ...]
    documents: Mapping[str, bytes]
    missing: frozenset[str]
    alerts: bytes
    snapshot: Path | None


def write(to: IO[bytes], goods: Goods) -> Contents:
    """Write a parcel and return its manifest."""
    entries, documents, snapshot = goods.entries, goods.documents, goods.snapshot
    lines = b"".join(canonical(entry.model_dump(mode="json")) + b"\n" for entry in entries)
    files = {
        RECORDS: evidence_id(lines),
        ALERTS: evidence_id(goods.alerts),
        **{_file_of(name): name for name in documents},
    }
    if snapshot:
        with snapshot.open("rb") as file:
            files[SNAPSHOT] = hashlib.file_digest(file, "sha256").hexdigest()
    contents = Contents(
        made_by=f"midwatch {version('midwatch')}",
        incident=entries[0].investigation,
        records=len(entries),
        last_hash=entries[-1].hash,
        missing=tuple(sorted(goods.missing)),
        files=dict(sorted(files.items())),
    )
    contents = contents.model_copy(update={"digest": _digest(contents)})
    with zipfile.ZipFile(to, "w") as packed:
        _put(packed, MANIFEST, _rendered(contents))
        _put(packed, RECORDS, lines)
        _put(packed, ALERTS, goods.alerts)
        for name in sorted(documents):
            _put(packed, _file_of(name), documents[name])
        if snapshot:
            with packed.open(_info(SNAPSHOT, zipfile.ZIP_STORED), "w") as target, snapshot.open("rb") as file:
                while block := file.read(_BLOCK):
                    target.write(block)
    return contents


def is_parcel(path: Path) -> bool:
    """Return whether a file looks like an exported investigation."""
    return path.is_file() and zipfile.is_zipfile(path)


@contextmanager
def read(path: Path) -> Iterator[Parcel]:
    """Yield a parcel that is whole: every file as its manifest says, the records one chain, all evidence there.

    Raises `BadParcel`, which says what is wrong, before anything of it is used.
    """
    try:
        if path.stat().st_size > MOST_PACKED:
            raise BadParcel(f"{path} is larger than {MOST_PACKED} bytes: no investigation is")
        with zipfile.ZipFile(path) as packed:
            contents = _contents(packed, path)
            entries = _entries(packed, contents)
            _check_evidence(packed, contents, entries)
            yield Parcel(contents, entries, packed)
    except (*_UNREADABLE, OSError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadParcel(f"cannot read {path} as an exported investigation: {said}") from None


def _contents(packed: zipfile.ZipFile, path: Path) -> Contents:
    """Return the manifest, once it is sure that the zip holds what it says and nothing else."""
    _check_names(packed, path)
    try:
        contents = Contents.model_validate_json(b"".join(_blocks(packed, MANIFEST)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadParcel(f"cannot use the manifest of {path}: {place}: {first['msg']}") from None
    if _digest(contents) != contents.digest:
        raise BadParcel(f"{path} was changed: its manifest is not what was written")
    if odd := sorted({MANIFEST, *contents.files} ^ set(packed.namelist())):
        raise BadParcel(f"{path} was changed: {odd[0]} is in the manifest or in the file, and not in both")
    for name, wanted in contents.files.items():
        if _hash(packed, name) != wanted:
            raise BadParcel(f"{path} was changed: {name} has another hash than its manifest says")
    return contents


def _check_names(packed: zipfile.ZipFile, path: Path) -> None:
    """See that there are only files that belong there, each once, and none larger than it can be."""
    infos = packed.infolist()
    if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > MOST_UNPACKED:
        raise BadParcel(f"{path} holds more than an exported investigation may: {len(infos)} files")
    for info in infos:
        if not _NAME.fullmatch(info.filename) or info.flag_bits & 1:
            raise BadParcel(f"{path} is no exported investigation: it holds {info.filename[:120]!r}")
        if info.file_size > MOST_OF.get(info.filename, MOST_OF_DOCUMENT):
            raise BadParcel(f"{path} holds {info.filename} with {info.file_size} bytes: that is too much to be true")
    names = packed.namelist()
    if len(set(names)) < len(names) or MANIFEST not in names:
        raise BadParcel(f"{path} is no exported investigation: it has no {MANIFEST}, or a name twice")


def _entries(packed: zipfile.ZipFile, contents: Contents) -> tuple[Entry, ...]:
    """Return the records, once they are one whole chain of one investigation that this midwatch understands."""
    entries: list[Entry] = []
    for number, line in enumerate(b"".join(_blocks(packed, RECORDS)).splitlines(), 1):
        try:
            entry = Entry.model_validate(json.loads(line))
            entry.value()
        except (ValueError, RecursionError):
            raise BadParcel(f"record {number} is none that this midwatch knows: use the version that made it") from None
        if entry.seq != number or entry.investigation != contents.incident or hash_of(entry) != entry.hash:
            raise BadParcel(f"record {number} is not what was written: its hash, number or incident differs")
        entries.append(entry)
    chained = all(later.prev_hash == entry.hash for entry, later in pairwise(entries))
    if not entries or entries[0].prev_hash or not chained:
        raise BadParcel("the records are no chain: one is missing, or was changed")
    if len(entries) != contents.records or entries[-1].hash != contents.last_hash:
        raise BadParcel("the records are not those that the manifest tells of")
    if not _INVESTIGATION.fullmatch(contents.incident) or not any(entry.type == "incident" for entry in entries):
        raise BadParcel(f"{contents.incident[:80]!r} is no incident")
    return tuple(entries)


def _check_evidence(packed: zipfile.ZipFile, contents: Contents, entries: tuple[Entry, ...]) -> None:
    named = {name for entry in entries for name in named_in(entry.body)}
    there = {_id_in(name): wanted for name, wanted in contents.files.items() if name.startswith("evidence/")}
    if wrong := [name for name, wanted in there.items() if name != wanted]:
        raise BadParcel(f"evidence {wrong[0]} has other bytes than its name says")
    if strange := sorted(there.keys() - named):
        raise BadParcel(f"evidence {strange[0]} is named by no record")


def _hash(packed: zipfile.ZipFile, name: str) -> str:
    found = hashlib.sha256()
    for block in _blocks(packed, name):
        found.update(block)
    return found.hexdigest()


def _blocks(packed: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Yield a file in blocks; zipfile gives no more bytes than the zip said at first, and checks their sum."""
    with packed.open(name) as file:
        while block := file.read(_BLOCK):
            yield block


def _put(packed: zipfile.ZipFile, name: str, stored: bytes) -> None:
    packed.writestr(_info(name, zipfile.ZIP_DEFLATED), stored, compresslevel=6)


def _info(name: str, how: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type, info.external_attr, info.create_system = how, 0o600 << 16, 3
    return info


def _file_of(document: str) -> str:
    return f"evidence/{document}.json"


def _id_in(name: str) -> str:
    return name.removeprefix("evidence/").removesuffix(".json")


def _digest(contents: Contents) -> str:
    return evidence_id(canonical(contents.model_dump(mode="json", exclude={"digest"})))


def _rendered(contents: Contents) -> bytes:
    return (json.dumps(contents.model_dump(mode="json"), indent=2, sort_keys=True) + "\n").encode()
