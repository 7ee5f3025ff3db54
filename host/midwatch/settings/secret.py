"""Secrets among the settings: literal in the environment, and in a settings file only where they are kept.

`env:NAME` stands for a variable of the environment, `file:/path` for a file that others on the machine cannot read.
"""

import os
import re
import stat
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

MOST_BYTES: Final = 64 * 1024
"""More is no secret: a path that points to something else."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOW: Final = "write env:NAME for a variable of the environment, or file:/path for a file"


class Written(str):
    """A text that stands in a settings file, where no secret may stand."""

    __slots__ = ()


def _told(value: object) -> object:
    """Return the secret that a text of a settings file stands for; anything else is as it was."""
    if not isinstance(value, Written):
        return value
    kind, _, where = value.partition(":")
    if kind == "env" and _NAME.fullmatch(where):
        return _of_environment(where)
    if kind == "file" and where:
        return _of_file(Path(where))
    raise _bad(f"a secret does not stand in a settings file: {_HOW}")


Secret = Annotated[
    SecretStr,
    BeforeValidator(_told),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$",
            "description": "env:NAME or file:/path",
        }
    ),
]
"""A secret of the settings; `get_secret_value()` gives it, and printing it does not."""


def _of_environment(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise _bad(f"env:{name}: the environment has no {name}, or it is empty")


def _of_file(path: Path) -> str:
    """Return what a file holds, without the newline at its end."""
    if not path.is_absolute():
        raise _bad(f"file:{path}: the path must begin with /")
    try:
        # Without a writer a pipe would keep us waiting.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise _bad(f"file:{path}: it is no file")
            if found.st_mode & stat.S_IROTH:
                raise _bad(f"file:{path}: everybody on this machine may read it: chmod o-rwx {path}")
            content = file.read(MOST_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise _bad(f"file:{path}: {error.strerror}") from None
    except UnicodeError:
        raise _bad(f"file:{path}: it is no text") from None
    if len(content) > MOST_BYTES:
        raise _bad(f"file:{path}: it has more than {MOST_BYTES} bytes")
    if not (secret := text.removesuffix("\n").removesuffix("\r")):
        raise _bad(f"file:{path}: it is empty")
    return secret


def _bad(why: str) -> PydanticCustomError:
    return PydanticCustomError("secret", "{why}", {"why": why})
