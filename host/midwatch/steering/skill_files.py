"""Files beside a SKILL.md: the third level of a skill, read only when they are needed.

Nothing that a text says is ever opened. The folder is looked through, and those of its files count that the text names.
A file that leads out of the folder, by a link or otherwise, is none of them.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from midwatch.errors import BadSteering

_MOST_FILES: Final = 500
_MOST_BYTES: Final = 2**18
_LINK: Final = re.compile(r"\]\(\s*<?([^)>\s#?]+)")
_NO_FILE: Final = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|/|#)", re.IGNORECASE)


def named_in(text: str, folder: Path) -> tuple[str, ...]:
    """Return the files of a skill's folder that its text names, by their paths from there, in order."""
    return tuple(name for name in sorted(_inside(folder)) if _names(text, name))


def missing_from(text: str, folder: Path) -> list[str]:
    """Return what a skill's text links to beside itself, and cannot be read: it is not there, or leads elsewhere."""
    there = set(_inside(folder)) | {"SKILL.md"}
    linked = dict.fromkeys(os.path.normpath(found) for found in _LINK.findall(text) if not _NO_FILE.match(found))
    return [name for name in linked if name not in there and not _is_folder(folder, name)]


def read_named(folder: Path, name: str) -> str:
    """Return the text of one of these files, its beginning if it is long; raises `BadSteering`."""
    path = folder / name
    try:
        if not _stays_inside(path, folder):
            raise BadSteering(f"{name} is no file of the skill")
        with path.open("rb") as file:
            read = file.read(_MOST_BYTES)
        return read.decode("utf-8", errors="strict" if len(read) < _MOST_BYTES else "ignore")
    except UnicodeError:
        raise BadSteering(f"{name} is no text") from None
    except OSError as error:
        raise BadSteering(f"{name} cannot be read: {error.strerror}") from None


def _inside(folder: Path) -> Iterator[str]:
    """Yield the files of a folder, as many as can be looked through; links to folders are not followed."""
    seen = 0
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            path = Path(at, file)
            if (seen := seen + 1) > _MOST_FILES:
                return
            if path.name != "SKILL.md" and _stays_inside(path, folder):
                yield path.relative_to(folder).as_posix()


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w./-])(?:\./)?{re.escape(name)}(?![\w/-])", text) is not None


def _stays_inside(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def _is_folder(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_dir() and path.resolve().is_relative_to(folder.resolve())
