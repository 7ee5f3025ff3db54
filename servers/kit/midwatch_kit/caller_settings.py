"""What a server asks its backends with on behalf of one caller: settings of theirs, from a file and from headers.

Pure but for the files that are read at the start. A caller never names an address: what a caller may send are
credentials for the backends that the server's own settings name.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

from mcp.server.auth.provider import AccessToken
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from midwatch_kit.errors import BadInput
from midwatch_kit.settings import SHORTEST_TOKEN, ServerSettings, is_secret

SettingsT = TypeVar("SettingsT", bound=ServerSettings)

HEADER: Final = "x-midwatch-"
_FILE: Final = "_file"


class NamedCaller(AccessToken):
    """A caller who is known by a token of the file; `client_id` is the name there."""


class Caller(BaseModel):
    """One table of the file: who it is for, and the settings that are theirs instead of the server's.

    Who sends `token` is meant; else whose token has all `claims`, as values or in lists; without either, everybody.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    token: SecretStr | None = None
    claims: dict[str, str] = {}
    settings: dict[str, Any] = Field({}, repr=False)

    @field_validator("token")
    @classmethod
    def _cannot_be_guessed(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"it has fewer than {SHORTEST_TOKEN} characters: take `openssl rand -hex 32`")
        return token

    def is_meant(self, bearer: AccessToken | None) -> bool:
        """Whether this is the caller who sent a token that was verified."""
        if isinstance(bearer, NamedCaller):
            return bearer.client_id == self.name
        if self.token:
            return False
        told = (bearer.claims if bearer else None) or {}
        return all(_says(told.get(claim), value) for claim, value in self.claims.items())


def read_callers(file: Path, settings: type[ServerSettings]) -> Sequence[Caller]:
    """Return the callers of a TOML file, in its order.

    Raises `BadInput` for a file that cannot be read, and for a table with a setting that no caller can have.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"MIDWATCH_CALLERS_FILE: {file} cannot be read: {error.strerror}") from None
    except (UnicodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"MIDWATCH_CALLERS_FILE: {file} is no TOML: {error}") from None
    return [_caller(file, name, table, settings) for name, table in tables.items()]


def settings_for(own: SettingsT, caller: str, theirs: Mapping[str, Any]) -> SettingsT:
    """Return the server's settings with a caller's in their places.

    Raises `BadInput` when they cannot be used together; the message has no value of theirs.
    """
    if not theirs:
        return own
    try:
        return type(own)(**{**own.model_dump(exclude_unset=True), **theirs})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}".strip(": ") for each in error.errors())
        raise BadInput(f"the settings of caller {caller} cannot be used: {faults}") from None


def sent_credentials(headers: Iterable[tuple[bytes, bytes]], settings: type[ServerSettings]) -> dict[str, str]:
    """Return the settings that a caller sent: `X-Midwatch-Loki-Token` gives `loki_token`.

    Raises `BadInput` for a header that names none of the credentials of this server's backends.
    """
    sent = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    known = {HEADER + name.replace("_", "-"): name for name in _credentials(settings)}
    ours = {header: value for header, value in sent.items() if header.startswith(HEADER)}
    if strange := sorted(ours.keys() - known.keys()):
        raise BadInput(f"the header {strange[0]} names no credential of this server{_near(strange[0], known)}")
    return {known[header]: value for header, value in ours.items()}


def _caller(file: Path, name: str, table: object, settings: type[ServerSettings]) -> Caller:
    where = f"MIDWATCH_CALLERS_FILE: [{name}] in {file}"
    if not isinstance(table, dict):
        raise BadInput(f"{where} is no table: write [NAME], and below it what is theirs")
    given = {key: value for key, value in table.items() if key not in _secret_files(settings)}
    given |= {key.removesuffix(_FILE): _secret(where, key, table[key]) for key in table if key not in given}
    allowed = set(settings.model_fields) - set(ServerSettings.model_fields)
    theirs = {key: value for key, value in given.items() if key not in ("token", "claims")}
    if strange := sorted(theirs.keys() - allowed):
        raise BadInput(f"{where} has {strange[0]}, which is no setting of a caller{_near(strange[0], allowed)}")
    try:
        return Caller(name=name, token=given.get("token"), claims=given.get("claims", {}), settings=theirs)
    except ValidationError as error:
        [fault, *_] = error.errors()
        raise BadInput(f"{where}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None


def _credentials(settings: type[ServerSettings]) -> set[str]:
    """Settings that a caller may send: secrets, and the user names that go with them; none of the server's own."""
    own = settings.model_fields.keys() - ServerSettings.model_fields.keys()
    return {name for name in own if is_secret(settings.model_fields[name]) or name.endswith("_username")}


def _secret_files(settings: type[ServerSettings]) -> set[str]:
    return {f"{name}{_FILE}" for name, field in settings.model_fields.items() if is_secret(field)}


def _secret(where: str, key: str, path: object) -> str:
    try:
        return Path(str(path)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadInput(f"{where}: {key} points to {path}: {reason}") from None


def _says(told: object, value: str) -> bool:
    """Whether a claim is a value, lists it, or has it among words, as `scope` does."""
    if isinstance(told, str):
        return told == value or value in told.split()
    return isinstance(told, list) and value in told


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, [*known], 3, 0.5)
    return f"; near it are {', '.join(near)}" if near else ""
