"""Every mistake in the settings at once: in the settings file and the environment, and in the files that they name."""

import copy
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path as File
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from midwatch.config.faults import Fault, Origins, of_settings, paths_of
from midwatch.config.named_files import in_named_files
from midwatch.config.positions import Path, of_toml
from midwatch.config.variables import unread
from midwatch.errors import BadSettings
from midwatch.settings import Settings, Variables
from midwatch.settings.file import NoToml, read_settings_file, settings_path

_MOST_ROUNDS = 10


def check() -> list[Fault]:
    """Return every mistake that can be found without asking anybody; of a file that is no TOML only where it is not."""
    try:
        file = read_settings_file()
    except NoToml as error:
        return [*_no_toml(error), *unread([error.text])]
    except BadSettings as error:
        return [Fault(str(settings_path()), "", str(error))]
    origins = Origins(file, Variables(Settings)())
    settings, faults = _all_of_settings(origins)
    named = [*in_named_files(settings, origins)] if settings else []
    texts = [file.text] if file else []
    return [*_in_order(faults), *named, *unread([*texts, *_text_of(settings)])]


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return faults as they stand in the file, those of variables behind."""
    return sorted(faults, key=lambda fault: (fault.line is None, fault.line or 0, fault.column or 0, fault.where))


def _no_toml(error: NoToml) -> Iterator[Fault]:
    """Yield the first fault in the words of who reads the file, and the places of those on other lines."""
    first = Fault(str(error.path), "", f"this is no TOML: {error.why}", "", error.line, error.column)
    yield first
    for place in of_toml(error.text).faults:
        if place.line != error.line:
            yield Fault(str(error.path), "", "this is no TOML either", "", place.line, place.column)


def _all_of_settings(origins: Origins) -> tuple[Settings | None, list[Fault]]:
    """Return the settings without what is wrong, and all that is.

    A model looks at how settings go together only once each by itself is right. So what is wrong is taken out, and the
    rest is looked at again.
    """
    values = [copy.deepcopy(dict(origins.variables)), copy.deepcopy(dict(origins.file.values)) if origins.file else {}]
    found: dict[str, Fault] = {}
    gone: set[Path] = set()
    for _ in range(_MOST_ROUNDS):
        try:
            return _settings_of(values), list(found.values())
        except ValidationError as error:
            told = [fault for fault in error.errors(include_url=False) if not _follows(fault, gone)]
            found |= {str(fault): fault for fault in of_settings(told, origins)}
            wrong = {path for details in error.errors() for path in paths_of(details)}
            gone |= wrong
            if sum(_without(each, path) for path in wrong for each in values) == 0:
                break
    return None, list(found.values())


def _follows(fault: ErrorDetails, gone: Collection[Path]) -> bool:
    """Whether something is at fault only since a value at that place, or in that table, was taken out."""
    return any(path and path == each[: len(path)] for path in paths_of(fault) for each in gone)


def _settings_of(values: Sequence[dict[str, Any]]) -> Settings:
    class Given(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, copy.deepcopy(each)) for each in values)

    return Given()


def _without(values: Any, path: Sequence[str | int]) -> bool:
    """Take out what a path leads to, or that in which it is missing; returns whether there was anything."""
    holder: Any = None
    key: Any = None
    at: Any = values
    for step in path:
        if _has(at, step):
            holder, key, at = at, step, at[step]
    if isinstance(holder, list) and holder[key] is not None:
        holder[key] = None  # what follows keeps its number
    elif holder is not None:
        del holder[key]
    return holder is not None


def _has(value: object, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _text_of(settings: Settings | None) -> Iterator[str]:
    """Yield the servers file, which may name variables of its own."""
    path = settings.servers_file if settings else None
    if path and File(path).is_file():
        yield path.read_text(encoding="utf-8", errors="replace")
