"""Settings of the HTTP API."""

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from midwatch.settings.secret import Secret

_SHORTEST_TOKEN = 32
_NO_NAME = re.compile(r"[/:@\s]|^$")


class ApiSettings(BaseModel):
    """How the API is reached, and how much of it at the same time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: tuple[str, ...] = Field((), description="names by which it may be asked, beside those of this machine")
    first_token: Secret | None = Field(None, description="a token with every scope, made by whoever deploys")
    streams: int = Field(64, gt=0, description="streams that are followed at the same time")
    streams_per_token: int = Field(16, gt=0, description="streams that are followed with one token at the same time")
    buffer: int = Field(1000, gt=0, description="records that wait for the reader of one stream before it is dropped")
    heartbeat_seconds: float = Field(15, gt=0, description="the longest silence on a stream")

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if _NO_NAME.search(host) and not host.startswith("["):
                raise ValueError(
                    f"{host[:80]!r} is no name alone: write it as midwatch.example.com, without https:// or a port"
                )
        return hosts

    @field_validator("first_token")
    @classmethod
    def _is_long_enough(cls, token: Secret | None) -> Secret | None:
        if token is not None and len(token.get_secret_value()) < _SHORTEST_TOKEN:
            raise ValueError(f"a token has {_SHORTEST_TOKEN} characters or more, by chance: openssl rand -base64 32")
        return token
