"""Settings that every server has; read once, from the environment and then from the command line."""

import ipaddress
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, AnyHttpUrl, Field, FilePath, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from midwatch_kit.listed import Listed

SHORTEST_TOKEN: Final = 16


def is_here(host: str | None) -> bool:
    """Whether a name or an address reaches this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _cache_folder() -> Path:
    user = "" if sys.platform == "win32" else f"-{os.getuid()}"  # a shared temporary folder is not a shared one of ours
    return Path(tempfile.gettempdir()) / f"midwatch-evidence{user}"


class AccessSettings(BaseSettings):
    """Who may call over HTTP; on stdio it is whoever started the process.

    Each is an environment variable with the prefix `MIDWATCH_` and a flag: `MIDWATCH_PUBLIC_URL`, `--public-url`.
    A secret (`SecretStr`) may instead be in a file that a variable with `_FILE` behind its name points to.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIDWATCH_",
        env_ignore_empty=True,  # a form that is left blank, in a client or in compose, sets nothing
        cli_kebab_case=True,
        cli_implicit_flags=True,
        populate_by_name=True,
        frozen=True,
    )

    token: SecretStr | None = Field(None, description="the bearer token that callers must send, for streamable-http")
    public_url: str | None = Field(None, description="where clients reach the server, as https://logs.example.com/mcp")
    oauth_issuer: str | None = Field(None, description="the OAuth authorization server whose tokens are accepted")
    oauth_audience: str | None = Field(None, description="whom tokens must be for; the public URL")
    oauth_scopes: Listed[str] = Field([], description="scopes that a token must have, all of them")
    oauth_jwks_url: str | None = Field(None, description="the issuer's keys; found by its metadata")

    @field_validator("public_url", "oauth_issuer", "oauth_jwks_url")
    @classmethod
    def _is_private_on_its_way(cls, url: str | None) -> str | None:
        at = urlsplit(url or "https:")
        if at.scheme == "https" or (at.scheme == "http" and is_here(at.hostname)):
            return url
        raise ValueError("must begin with https://, or with http:// on this machine")

    @model_validator(mode="after")
    def _access_makes_sense(self) -> Self:
        if self.token is not None and len(self.token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"MIDWATCH_TOKEN has fewer than {SHORTEST_TOKEN} characters: take `openssl rand -hex 32`")
        if self.oauth_issuer and not self.public_url:
            raise ValueError("MIDWATCH_OAUTH_ISSUER issues tokens for an address: name it with MIDWATCH_PUBLIC_URL")
        return self

    def refuse_strangers_at(self, host: str) -> None:
        """Raise `ValueError` when others than this machine, whom `host` lets in, could call without a token."""
        if not (is_here(host) or self.token or self.oauth_issuer):
            raise ValueError(
                f"on {host} others than this machine could call without a token: "
                "set MIDWATCH_TOKEN or MIDWATCH_OAUTH_ISSUER, or listen on 127.0.0.1"
            )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read secrets from the files that `..._FILE` variables point to, where nothing else gives them."""
        return init_settings, env_settings, _SecretFiles(settings_cls)


class ServerSettings(AccessSettings):
    """How to reach a server, and how much it may answer; a server's own settings derive from this."""

    transport: Literal["stdio", "streamable-http"] = Field("stdio", description="how clients connect")
    host: str = Field("127.0.0.1", description="address to listen on, for streamable-http")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on, for streamable-http")
    allowed_hosts: Listed[str] = Field([], description="further Host headers to accept, for streamable-http")
    callers_file: FilePath | None = Field(None, description="TOML: who may call, with which settings of their own")
    callers_send_credentials: bool = Field(False, description="callers may send credentials of backends in headers")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("WARNING", description="how much goes to stderr")
    reply_chars: int = Field(8_000, ge=500, le=500_000, description="characters in one reply; about 4 make a token")
    evidence_dir: Path = Field(default_factory=_cache_folder, description="where the bytes behind replies are kept")
    evidence_max_bytes: int = Field(256 * 2**20, ge=2**20, description="bytes of evidence to keep; the oldest go first")
    deadline_seconds: float = Field(40.0, gt=0, description="a tool that takes longer answers with an error")

    @model_validator(mode="after")
    def _no_strangers(self) -> Self:
        if self.transport == "streamable-http" and not self.callers_file:  # who is not in the file is not let in
            self.refuse_strangers_at(self.host)
        return self


class AwsSettings(ServerSettings):
    """Which account and region backends in AWS ask; for servers that have such backends."""

    aws_region: str | None = Field(None, description="AWS region; as AWS_REGION or the profile say")
    aws_profile: str | None = Field(None, description="AWS profile; as AWS_PROFILE says")
    aws_endpoint_url: AnyHttpUrl | None = Field(None, description="what to ask instead of AWS itself")


class _SecretFiles(PydanticBaseSettingsSource):
    """Secrets in files: `MIDWATCH_LOKI_TOKEN_FILE=/run/secrets/loki` instead of `MIDWATCH_LOKI_TOKEN`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return what the file holds, without the line's end; raises `SettingsError` when it cannot be read."""
        path = os.environ.get(f"{variable_of(field, field_name)}_FILE") if is_secret(field) else None
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise SettingsError(f"{variable_of(field, field_name)}_FILE points to {path}: {reason}") from None

    def __call__(self) -> dict[str, Any]:
        """Return the secrets that are in files."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting is never to be shown, and may be in a file."""
    return field.annotation is SecretStr or SecretStr in getattr(field.annotation, "__args__", ())


def variable_of(field: FieldInfo, name: str) -> str:
    """Return the environment variable that a setting is read from."""
    alias = field.validation_alias
    names = [choice for choice in alias.choices if isinstance(choice, str)] if isinstance(alias, AliasChoices) else []
    return next((choice for choice in names if choice.isupper()), f"MIDWATCH_{name.upper()}")
