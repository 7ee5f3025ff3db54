"""Variables of the environment that begin with `MIDWATCH_` and that nobody reads: mistyped ones, mostly."""

import os
import re
from collections.abc import Iterable

from midwatch.config.faults import Fault
from midwatch.config.fields import every_field, nearest
from midwatch.mcp_client.servers import OF_SERVERS
from midwatch.settings import Settings
from midwatch.settings.file import VARIABLE
from midwatch_kit.settings import AwsSettings, is_secret, variable_of

_PREFIX = "MIDWATCH_"
_NAMED = re.compile(r"MIDWATCH_[A-Z0-9_]+")


def unread(texts: Iterable[str] = ()) -> list[Fault]:
    """Return the variables that nobody reads; what `texts` name, as a settings file or a servers file may, is read."""
    named = {name for text in texts for name in _NAMED.findall(text)}
    known = {*_of_host(), *_of_every_server(), VARIABLE}
    odd = [name for name in sorted(os.environ) if name.startswith(_PREFIX) and name not in known | named]
    return [
        Fault(name, "", "nobody reads this variable", nearest(name, [*known, *map(_begun, OF_SERVERS)]))
        for name in odd
        if not name.startswith(OF_SERVERS) and not _is_table(name)
    ]


def _of_host() -> set[str]:
    return {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}


def _of_every_server() -> set[str]:
    """Return what any MCP server of the suite reads, and what the host's own MCP server does."""
    fields = {variable_of(field, name): field for name, field in AwsSettings.model_fields.items()}
    return {*fields, *(f"{name}_FILE" for name, field in fields.items() if is_secret(field))}


def _is_table(name: str) -> bool:
    """Whether a variable is of a table of settings: what is wrong in there is told as a mistake in the settings."""
    tables = {path[0] for path, _ in every_field(Settings) if len(path) > 1}
    return name.removeprefix(_PREFIX).partition("__")[0].lower() in tables and "__" in name


def _begun(prefix: str) -> str:
    return f"{prefix}…" if prefix.endswith("_") else prefix
