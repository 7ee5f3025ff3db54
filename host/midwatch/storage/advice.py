"""What a person can do about a database that is down, by what SQLite and PostgreSQL say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_OF_A_FILE: Final[Mapping[str, str]] = {
    "is full": "make room on the disk of {folder}",
    "is locked": "another process writes to it: `fuser {file}` says which",
    "readonly": "let the user that midwatch runs as write {file} and {folder}",
    "unable to open": "let the user that midwatch runs as write {file} and {folder}",
    "was taken away": "start midwatch anew, and leave {file}-wal to it",
    "": "see whether the disk of {folder} is well",
}
_OF_A_SERVER: Final[Mapping[str, str]] = {
    "authentication": "correct user and password in database_url",
    "does not exist": "correct database_url, or make what it names",
    "too many": "give PostgreSQL more max_connections, or midwatch fewer hosts",
    "No space left": "make room on the disk of PostgreSQL",
    "": "see whether PostgreSQL is up, and can be reached from here",
}


def what_to_do(where: Path | str, said: str) -> str:
    """Return what helps where a database is a file, or else a server; what was begun then goes on by itself."""
    steps = _OF_A_FILE if isinstance(where, Path) else _OF_A_SERVER
    step = next(step for words, step in steps.items() if words in said)
    return step.format(file=where, folder=where.parent) if isinstance(where, Path) else step
