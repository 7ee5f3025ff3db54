"""The settings that hold, each with where it was said: a line of a file, a variable, the command line, the default."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from midwatch.config.faults import origins, said_by
from midwatch.config.fields import is_secret, leaves
from midwatch.config.positions import of_toml
from midwatch.settings import Settings

_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^@/\s]+(?=@)")
HIDDEN = "**********"


@dataclass(frozen=True)
class Shown:
    """One setting: its key, its value as JSON would have it, and its origin."""

    key: str
    value: object
    origin: str


def shown(settings: Settings) -> list[Shown]:
    """Return every setting that holds; secrets are masked, and so are passwords in addresses."""
    return [
        Shown(".".join(path), HIDDEN if is_secret(field.annotation) and value else plain(value), origin)
        for (path, value, field), origin in _with_origins(settings)
    ]


def _with_origins(settings: Settings) -> Iterator[tuple[tuple[tuple[str, ...], object, FieldInfo], str]]:
    said = origins()
    positions = of_toml(said.file.text) if said.file else None
    for leaf in leaves(settings):
        path = leaf[0]
        if said.says(path):
            yield leaf, said_by(path)
        elif said.file and positions and len(positions.nearest(path)) == len(path):
            yield leaf, f"{said.file.path}:{positions.of(path).key.line}"
        else:
            yield leaf, "default"


def plain(value: object) -> object:
    """Return a value as JSON would have it, with nothing secret in it."""
    match value:
        case SecretStr():
            told: object = HIDDEN
        case BaseModel():
            told = {name: plain(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            told = {str(key): plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            told = [plain(each) for each in value]
        case bool() | int() | float() | None:
            told = value
        case _:
            told = _PASSWORD.sub(rf"\1:{HIDDEN}", str(value))
    return told
