"""Files of a data set as they are published; one that cannot be read says which it is, and why."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

csv.field_size_limit(2**31 - 1)  # a stack trace in a log line may be longer than the 128 KiB that are the default


class Unreadable(ValueError):
    """Something of a data set that cannot be read: the text says what it is, and why."""


def json_of(path: Path) -> Any:
    """Return what a JSON file holds; raises `Unreadable`."""
    with _named(path):
        return json.loads(path.read_text(encoding="utf-8-sig"))


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column, none where the file is empty; raises `Unreadable`."""
    with _named(path), path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def filled_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file that must have some; raises `Unreadable`."""
    if found := rows(path):
        return found
    raise Unreadable(f"{_short(path)}: it has no rows")


def has_rows(path: Path) -> bool:
    """Return whether a CSV file is there and has a row below its head."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return bool(file.readline() and file.readline().strip())


def lines(path: Path) -> list[list[str]]:
    """Return the lines of a CSV file, its head among them; raises `Unreadable`."""
    with _named(path), path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unreadable(f"{_short(path)}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise Unreadable(f"{_short(path)}: {error}") from error


def _short(path: Path) -> str:
    """The file as a set's own pages would name it: without where the set lies on this machine."""
    return "/".join(path.parts[-3:])
