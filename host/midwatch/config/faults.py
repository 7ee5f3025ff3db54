"""Mistakes in settings: each with its place, the key, what is wrong, what is allowed and what was probably meant."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from midwatch.config.fields import as_written, field_at, keys_at, nearest
from midwatch.config.positions import Path, Place, Positions, of_toml
from midwatch.settings import Settings, Variables
from midwatch.settings.file import CONTRADICTION, SettingsFile, read_settings_file

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MOST_KEYS = 12
_PREFIX = "MIDWATCH_"


@dataclass(frozen=True)
class Fault:
    """One mistake. `where` is a file, or a variable of the environment; a line and a column has only a file."""

    where: str
    key: str
    why: str
    meant: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}:{self.column}" if self.line else self.where
        key = f" {self.key}:" if self.key and self.key != self.where else ""
        return f"{place}:{key} {self.why}" + (f"; did you mean {self.meant}?" if self.meant else "")


@dataclass(frozen=True)
class Written:
    """A file that was read, for telling where in it something stands."""

    name: str
    positions: Positions

    def at(self, key: str, why: str, place: Place, meant: str = "") -> Fault:
        """Return a fault at a place of the file."""
        return Fault(self.name, key, why, meant, place.line, place.column)


@dataclass(frozen=True)
class Origins:
    """Where settings were said: the environment goes before the file."""

    file: SettingsFile | None
    variables: Mapping[str, Any]

    def says(self, path: Sequence[str | int]) -> bool:
        """Whether the environment says a setting, or something that is no table where its table should be."""
        inside: Any = self.variables
        for key in path:
            if not isinstance(inside, Mapping):
                return inside is not None
            if key not in inside:
                return False
            inside = inside[key]
        return True


def origins() -> Origins:
    """Return where settings come from; raises `BadSettings` when the file cannot be read."""
    return Origins(read_settings_file(), Variables(Settings)())


def variable_for(path: Sequence[str | int]) -> str:
    """Return the variable that a setting can be said with."""
    return _PREFIX + "__".join(str(key) for key in path).upper()


def of_settings(faults: Iterable[ErrorDetails], origins: Origins) -> list[Fault]:
    """Return what is wrong with settings, each with the file and the line, or the variable, that says it."""
    written = Written(str(origins.file.path), of_toml(origins.file.text)) if origins.file else None
    found: list[Fault] = []
    for details in faults:
        for told in paths_of(details):
            path = as_written(Settings, told, to_the_end=details["type"] in _UNKNOWN)
            why, meant = explained(details, told, Settings)
            if written and not origins.says(path) and written.positions.nearest(path):
                found.append(in_file(written, path, why, meant, is_key=details["type"] in _UNKNOWN))
            else:
                found.append(Fault(said_by(path), "", why, meant))
    return found


def of_file(error: ValidationError, written: Written, model: type[BaseModel]) -> list[Fault]:
    """Return what is wrong with a file that a model reads, each with its line."""
    return [
        in_file(written, details["loc"], *explained(details, details["loc"], model), is_key=details["type"] in _UNKNOWN)
        for details in error.errors(include_url=False)
    ]


def in_file(written: Written, path: Path, why: str, meant: str, *, is_key: bool) -> Fault:
    """Return a fault at the key, or at the value, that a path leads to."""
    found = written.positions.of(path)
    missing = len(written.positions.nearest(path)) < len(path)
    return written.at(_dotted(path), why, found.key if is_key or missing else found.value, meant)


def explained(details: ErrorDetails, path: Path, model: type[BaseModel]) -> tuple[str, str]:
    """Return what is wrong, and what was probably meant; no text that was given is quoted, since it may be a secret."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _UNKNOWN:
        return _unknown(keys_at(model, path[:-1]), str(path[-1]))
    why = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if why != details["msg"] and not details["msg"].startswith("Value"):
        why = f"must be {why}"
    given = details.get("input")
    if isinstance(given, int | float) and not isinstance(given, bool):
        why = f"{given:g} {why}"
    field = field_at(model, path)
    if field and field.description and kind != CONTRADICTION:
        why = f"{why} ({field.description})"
    allowed = [each.strip(" '") for each in str(context.get("expected", "")).replace(" or ", ",").split(",")]
    return why, nearest(given, allowed) if isinstance(given, str) else ""


def _unknown(known: list[str], key: str) -> tuple[str, str]:
    meant = nearest(key, known)
    listed = ", ".join(known) if known and len(known) <= _MOST_KEYS and not meant else ""
    return "there is no such key" + (f"; there are {listed}" if listed else ""), meant


def paths_of(details: ErrorDetails) -> Iterator[Path]:
    """Yield the paths that a fault is about: of a contradiction one for each setting that is part of it."""
    fields = details.get("ctx", {}).get("fields", ())
    if details["type"] == CONTRADICTION and fields:
        yield from ((*details["loc"], *str(field).split(".")) for field in fields)
    else:
        yield details["loc"]


def said_by(path: Sequence[str | int]) -> str:
    """Return the variable that says a setting, its own or that of a table around it, and the place in its value."""
    there = {name.upper() for name in os.environ}
    names = {variable_for(path[:length]): path[length:] for length in range(len(path), 0, -1)}
    name = next((name for name in names if name in there), variable_for(path))
    rest = names.get(name, ())
    return f"{name} ({_dotted(rest)})" if rest else name


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text
