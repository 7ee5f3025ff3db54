"""Which objects a question reads: those whose partition the windows need, listed once and pinned by their tags.

A manifest is the list of objects that the first page saw, kept on disk under the hash of it; a cursor carries that
hash. Later pages read exactly those objects. So objects that arrive between pages are not seen, and neither is what
was appended to a file; an object that was overwritten or deleted is refused, in words, unless it was read before and
its parsed copy is still cached. When the list itself is gone (another machine, a cleared cache), the objects are
listed again, and the walk goes on if they are the same ones.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from midwatch_byo.layout import Layout, Partition
from midwatch_byo.mapping import Source
from midwatch_byo.places import Place, StoredObject
from midwatch_kit import BadInput, Window

_KEPT_MANIFESTS: Final = 500


@dataclass(frozen=True)
class Manifest:
    """The objects of a question, by source name and key."""

    objects: tuple[StoredObject, ...]

    @property
    def pin(self) -> int:
        """A number that stands for exactly these objects with exactly this content, from 1 on."""
        named = json.dumps([(o.source, o.key, o.tag, o.size) for o in self.objects]).encode()
        return int.from_bytes(hashlib.sha256(named).digest()[:7], "big") + 1

    @property
    def bytes(self) -> int:
        """How many stored bytes these are."""
        return sum(found.size for found in self.objects)


def fits(source: Source, layout: Layout, found: StoredObject) -> Partition | None:
    """Return what an object's key says, or None for one that is not of the source: another name, hidden, empty."""
    name = found.key.rsplit("/", 1)[-1]
    if name.startswith((".", "_")) or not found.size or not fnmatchcase(name, source.files):
        return None
    return layout.read(found.key)


def needed(source: Source, place: Place, windows: Sequence[Window]) -> list[StoredObject]:
    """Return the objects of a source that the windows need, listing only folders that can hold them."""
    layout = Layout(source.layout)
    found: dict[str, StoredObject] = {}
    for folder in layout.folders(windows, source.slack, place.children):
        for listed in place.objects(folder):
            partition = fits(source, layout, listed)
            if partition and partition.overlaps(windows, source.slack):
                found[listed.key] = listed
    return list(found.values())


class ManifestShelf:
    """Manifests in a folder, by pin; the oldest go when there are many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, manifest: Manifest) -> int:
        """Keep a manifest and return its pin."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(manifest.pin)
        if not path.exists():
            handle, half_written = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                json.dump([asdict(found) for found in manifest.objects], opened)
            Path(half_written).replace(path)
            self._make_room()
        return manifest.pin

    def get(self, pin: int) -> Manifest | None:
        """Return the manifest of a pin, None when it is not kept here."""
        try:
            listed = json.loads(self._path(pin).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Manifest(tuple(StoredObject(**found) for found in listed))

    def _path(self, pin: int) -> Path:
        return self._folder / f"{pin}.json"

    def _make_room(self) -> None:
        kept = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_KEPT_MANIFESTS]:
            path.unlink(missing_ok=True)


def objects_changed() -> BadInput:
    """The refusal to go on with a walk whose objects are no longer there."""
    return BadInput("the objects changed since the first page: ask again, without a cursor")
