"""A snapshot as one file: packed so that the same folder gives the same bytes, unpacked so that nothing gets out of it.

It does not look at what the files hold; the manifest does.
"""

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from midwatch.errors import BadSnapshot

SUFFIX = ".tar.xz"
_MOST_BYTES = 8 * 2**30
"""Unpacked; a small file can claim to be huge."""


def is_archive(path: Path) -> bool:
    """Return whether a path is named as a packed snapshot is."""
    return path.name.endswith(SUFFIX)


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder's files in order of their names, without owners and times; only its owner may read the archive."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    archive.touch(mode=0o600, exist_ok=False)
    with tarfile.open(archive, "w:xz", format=tarfile.PAX_FORMAT) as packed:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = (folder / name).stat().st_size, 0o644
            with (folder / name).open("rb") as file:
                packed.addfile(entry, file)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the folder of a snapshot: the path itself, or where the archive is unpacked for as long as the block runs.

    Raises `BadSnapshot` when the archive cannot be read or holds anything but plain files.
    """
    if not is_archive(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="midwatch-snapshot-") as folder:
        _unpack(path, Path(folder))
        yield Path(folder)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path, "r:xz") as packed:
            left = _MOST_BYTES
            for entry in packed:
                left -= entry.size
                if left < 0 or not entry.isfile() or not _stays_inside(entry.name):
                    raise BadSnapshot(f"{path} is no snapshot: it holds {entry.name[:120]!r}")
                _write(packed, entry, folder / entry.name)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BadSnapshot(f"cannot unpack {path}: {error}") from None


def _write(packed: tarfile.TarFile, entry: tarfile.TarInfo, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if (held := packed.extractfile(entry)) is not None:
        with held, to.open("xb") as file:
            while block := held.read(2**20):
                file.write(block)


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name
