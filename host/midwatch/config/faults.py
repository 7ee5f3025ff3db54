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
_NO_SUCH_KIND = "union_tag_invalid"
_LIST = "must be a list"
_WORDS = {
    "missing": "it is missing",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must fit {pattern}",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "too_short": "must name at least {min_length}",
    _NO_SUCH_KIND: "is no kind; there are {expected_tags}",
    "union_tag_not_found": "the key {discriminator} is missing, which says what kind it is",
}
_ALLOWED = {"literal_error": "expected", "enum": "expected", _NO_SUCH_KIND: "expected_tags"}
_QUOTED = {"int_parsing", "float_parsing", "bool_parsing", "literal_error", "enum", _NO_SUCH_KIND}
"""A text of this kind of fault stands where a number or one of a few words should."""
_LONGEST_QUOTED = 24


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
                found.append(Fault(said_by(path), "", why.replace(_LIST, f'{_LIST} as JSON: ["…"]'), meant))
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
    """Return what is wrong, and what was probably meant.

    A text that was given is quoted only where a number or one of a few words should stand: any other may be a secret.
    """
    kind, context = details["type"], details.get("ctx", {})
    if kind in _UNKNOWN:
        return _unknown(keys_at(model, path[:-1]), str(path[-1]))
    given = _tag(details) if kind == _NO_SUCH_KIND else details.get("input")
    why = _quoted(given, kind) + _why(details)
    field = field_at(model, path)
    if field and field.description and kind != CONTRADICTION:
        why = f"{why} ({field.description})"
    allowed = [
        each.strip(" '") for each in str(context.get(_ALLOWED.get(kind, ""), "")).replace(" or ", ",").split(",")
    ]
    return why, nearest(given, allowed) if isinstance(given, str) else ""


def _why(details: ErrorDetails) -> str:
    """Return what is wrong in words that need no knowledge of Python."""
    kind, context, said = details["type"], details.get("ctx", {}), details["msg"]
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    why = said.removeprefix("Value error, ").removeprefix("Input should be ")
    return f"must be {why}" if why != said and not said.startswith("Value") else why


def _quoted(given: object, kind: str) -> str:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return f"{given:g} "
    return f"{str(given)!r} " if isinstance(given, str) and kind in _QUOTED and len(given) <= _LONGEST_QUOTED else ""


def _tag(details: ErrorDetails) -> object:
    return details.get("ctx", {}).get("tag")


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
