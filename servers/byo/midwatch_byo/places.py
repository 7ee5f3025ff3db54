"""Where objects lie: a folder on disk here, a bucket in s3; what each must be able to do. Nothing reads a line."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from midwatch_kit import BackendDown, BadInput


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object by its key below the source's location; `tag` changes when its content does, `modified` is Unix s."""

    source: str
    key: str
    size: int
    tag: str
    modified: float


class Place(Protocol):
    """A folder or a bucket."""

    def children(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder (`""`, or ending in `/`)."""

    def objects(self, folder: str) -> Iterator[StoredObject]:
        """Yield every object below a folder, in no order."""

    def fetch(self, wanted: StoredObject, target: Path) -> None:
        """Copy the object as it was listed to a file; raises `BadInput` when it is no longer that."""


class Folder:
    """A folder on this machine.

    A file's tag is its inode, size and time of change. A listed file that has grown since is read up to the size it
    had, on the assumption that logs are only appended to; one that was replaced or cut is refused.
    """

    def __init__(self, source: str, base: str) -> None:
        self._source = source
        self._base = Path(base)

    def children(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(entry.name for entry in os.scandir(self._existing() / folder) if entry.is_dir())
        return []

    def objects(self, folder: str) -> Iterator[StoredObject]:
        """Yield every file below a folder; a file that vanishes meanwhile is left out."""
        for parent, _, names in os.walk(self._existing() / folder):
            for name in names:
                path = Path(parent) / name
                with suppress(FileNotFoundError):
                    status = path.stat()
                    key = path.relative_to(self._base).as_posix()
                    yield StoredObject(self._source, key, status.st_size, _tag(status), status.st_mtime)

    def fetch(self, wanted: StoredObject, target: Path) -> None:
        """Copy the first `size` bytes of a file that is still the listed one."""
        try:
            with (self._base / wanted.key).open("rb") as opened, target.open("wb") as copy:
                status = os.fstat(opened.fileno())
                if str(status.st_ino) != wanted.tag.split("-")[0] or status.st_size < wanted.size:
                    raise changed(wanted)
                _copy(opened, copy, wanted.size)
        except FileNotFoundError:
            raise changed(wanted) from None
        except OSError as error:
            raise BackendDown(f"cannot read {self._base / wanted.key}: {error.strerror}") from None

    def _existing(self) -> Path:
        if not self._base.is_dir():
            raise BackendDown(f"there is no folder {self._base}: create it, or correct the location in the mapping")
        return self._base


def changed(wanted: StoredObject) -> BadInput:
    """The refusal to read an object that is not what it was when it was listed."""
    return BadInput(f"{wanted.key} changed or went away since it was listed: ask again, without a cursor")


def _tag(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size and (block := source.read(min(size, 2**20))):
        target.write(block)
        size -= len(block)
