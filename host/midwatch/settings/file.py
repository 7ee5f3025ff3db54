"""The settings file, TOML: which one it is, what it holds, and how settings that contradict each other are told.

Texts are marked as written in a file, since secrets must not stand there. Where in the file something stands is the
business of `midwatch.config`, which only looks when somebody asks.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticCustomError

from midwatch.errors import BadSettings
from midwatch.settings.secret import Written

VARIABLE: Final = "MIDWATCH_CONFIG"
"""Names the file; `midwatch --config` sets it."""
USUAL: Final = Path("midwatch.toml")
CONTRADICTION: Final = "contradiction"
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True)
class SettingsFile:
    """What a settings file holds: its text, and the values in it."""

    path: Path
    text: str
    values: Mapping[str, Any]


class NoToml(BadSettings):
    """Raised when a settings file is no TOML; `line` and `column` count from 1, and are that of the first fault."""

    def __init__(self, path: Path, text: str, fault: str) -> None:
        found = _PLACE.search(fault)
        self.path, self.text, self.why = path, text, _PLACE.sub("", fault)
        lines = text.split("\n")
        at_end = (len(lines), len(lines[-1]) + 1)
        self.line, self.column = (int(found[1]), int(found[2])) if found and found[1] else at_end
        super().__init__(f"{path}:{self.line}:{self.column}: this is no TOML: {self.why}")


def settings_path() -> Path | None:
    """Return the file that `MIDWATCH_CONFIG` names, else `midwatch.toml` in the working directory if it is there."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else USUAL if USUAL.is_file() else None


def read_settings_file() -> SettingsFile | None:
    """Return the settings file, None when there is none; raises `BadSettings`, of which `NoToml` is one."""
    path = settings_path()
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadSettings(f"cannot read the settings file {path}: {error.strerror}") from None
    except UnicodeError:
        raise BadSettings(f"cannot read the settings file {path}: it is no text in UTF-8") from None
    try:
        return SettingsFile(path, text, _marked(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise NoToml(path, text, str(error)) from None


def contradiction(fields: Sequence[str], why: str) -> PydanticCustomError:
    """Return an error for a model's validator to raise: settings, by their names in the model, that don't go together.

    `midwatch config check` then tells where each of them stands.
    """
    return PydanticCustomError(CONTRADICTION, "{why}", {"why": why, "fields": tuple(fields)})


def _marked(value: Any) -> Any:
    match value:
        case str():
            return Written(value)
        case list():
            return [_marked(each) for each in value]
        case dict():
            return {key: _marked(each) for key, each in value.items()}
        case _:
            return value
