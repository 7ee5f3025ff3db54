"""Objects that were read, kept as Parquet by their content's tag, within a bound; the least recently used go first.

An object is fetched, cleaned and parsed once; what is asked of it later reads the copy. Nothing is kept that could
not be read again.
"""

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import duckdb

from midwatch_byo.clean import Cleaned, clean, is_zstd
from midwatch_byo.layout import Layout, Partition
from midwatch_byo.mapping import Source
from midwatch_byo.parse import Parsed, parse
from midwatch_byo.places import Place, StoredObject
from midwatch_byo.records import NoRecords, spread
from midwatch_kit.parallel import Threads

_AT_ONCE: Final = 4
_MOST_UNPACKED: Final = 20
"""How many times its limit of stored bytes one object may unpack to."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One object's parsed copy; None when the object cannot be read at all."""

    path: Path | None
    parsed: Parsed


class ObjectCache:
    """Parsed copies in a folder; several threads, and several servers, may share it."""

    def __init__(self, folder: Path, max_bytes: int, read_max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._most_unpacked = _MOST_UNPACKED * read_max_bytes
        self._making_room = threading.Lock()

    def read(
        self, wanted: Sequence[StoredObject], sources: Mapping[str, Source], places: Mapping[str, Place]
    ) -> list[Kept]:
        """Return the parsed copies of the objects, in their order; those that are not kept are read now.

        Raises `BadInput` for an object that changed since it was listed, `BackendDown` when one cannot be had.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with Threads(_AT_ONCE) as readers:
            kept = list(
                readers.map(lambda found: self._one(found, sources[found.source], places[found.source]), wanted)
            )
        self._make_room({copy.path for copy in kept})
        return kept

    def known(self, wanted: StoredObject, source: Source) -> Parsed | None:
        """Return what became of an object's lines when it was read, None when no copy is kept."""
        copy = _kept(self._path(wanted, source))
        return copy.parsed if copy else None

    def _one(self, wanted: StoredObject, source: Source, place: Place) -> Kept:
        path = self._path(wanted, source)
        if copy := _kept(path):
            return copy
        partition = Layout(source.layout).read(wanted.key) or Partition(None, None, "", "")
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            scratch = Path(name)
            place.fetch(wanted, scratch / "fetched")
            try:
                parsed = self._parse(source, partition, scratch)
            except (duckdb.Error, NoRecords) as error:  # a torn or foreign object costs its own lines and nothing else
                return Kept(None, Parsed(0, 0, 0, 0, True, None, None, str(error).splitlines()[0][:200]))
            (scratch / "about").write_text(json.dumps(asdict(parsed)), encoding="utf-8")
            (scratch / "about").replace(path.with_suffix(".json"))
            (scratch / "parsed").replace(path)
        return Kept(path, parsed)

    def _parse(self, source: Source, partition: Partition, scratch: Path) -> Parsed:
        fetched, target = scratch / "fetched", scratch / "parsed"
        if source.format == "parquet":
            return parse(source, partition, fetched, Cleaned(), target)
        if is_zstd(fetched):
            if source.records:
                raise NoRecords("a document of records may be packed with gzip, not with Zstandard")
            packed = fetched.rename(scratch / "lines.zst")  # DuckDB unpacks it, by its name
            return parse(source, partition, packed, Cleaned(), target)
        if source.records:
            fetched = spread(fetched, scratch / "records", source.records, self._most_unpacked)
        cleaned = clean(fetched, scratch / "lines", self._most_unpacked)
        fetched.unlink()
        return parse(source, partition, scratch / "lines", cleaned, target)

    def _path(self, wanted: StoredObject, source: Source) -> Path:
        named = f"{source.model_dump_json()} {wanted.key} {wanted.tag} {wanted.size}"
        return self._folder / f"{hashlib.sha256(named.encode()).hexdigest()[:40]}.parquet"

    def _make_room(self, needed: set[Path | None]) -> None:
        with self._making_room:
            sized = [(path, status) for path in self._folder.glob("*.parquet") if (status := _status(path))]
            excess = sum(status.st_size for _, status in sized) - self._max_bytes
            for path, status in sorted(sized, key=lambda kept: kept[1].st_mtime):
                if excess <= 0:
                    return
                if path not in needed:
                    path.with_suffix(".json").unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
                    excess -= status.st_size


def _kept(path: Path) -> Kept | None:
    try:
        os.utime(path)
        return Kept(path, Parsed(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
