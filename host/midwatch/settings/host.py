"""The host's settings: read once, from the command line, the environment (`MIDWATCH_…`) and a TOML file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from midwatch.settings.api import ApiSettings
from midwatch.settings.channels import AnyChannel, ChannelName
from midwatch.settings.correlation import CorrelationSettings
from midwatch.settings.file import contradiction, read_settings_file
from midwatch.settings.intake import IntakeSettings
from midwatch.settings.models import ModelSettings
from midwatch.settings.retention import RetentionSettings
from midwatch.settings.runbooks import RunbookBinding
from midwatch.settings.secret import Secret
from midwatch.settings.watch import WatchSettings

_SECRET = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)
_SHORTEST_SECRET = 6
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled_in(texts: Mapping[str, str]) -> dict[str, str]:
    """Return texts with variables of the environment in place of `${NAME}`: a file of settings need hold no secret.

    Raises `ValueError` with the names of those that are not there.
    """
    names = {name for value in texts.values() for name in _VARIABLE.findall(value)}
    if missing := sorted(names - os.environ.keys()):
        raise ValueError(f"they name {', '.join(missing)}, which the environment does not have")
    return {key: _VARIABLE.sub(lambda found: os.environ[found[1]], value) for key, value in texts.items()}


class OAuth(BaseModel):
    """How the host logs in at a server with OAuth; without a client id it registers itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str | None = None
    client_secret: SecretStr | None = None
    client_metadata_url: str | None = None
    redirect_port: int = Field(8752, ge=1, le=65535)

    @field_validator("client_secret", mode="before")
    @classmethod
    def _with_secrets(cls, secret: object) -> object:
        return filled_in({"client_secret": secret})["client_secret"] if isinstance(secret, str) else secret


class ServerSpec(BaseModel):
    """How to reach one MCP server, a command to start or a URL, and which of its tools may be used.

    The shape is that of Claude Desktop's settings. `allow` names the tools that may be asked, `hands` those that an
    approved plan may call; of a server of the `suite` what it declares is believed, and nothing need be named.
    `runbooks` says how its documents are found and read. `at_once` limits the calls at the same time, over all hosts.
    `models` are those that a model may use, of the reading ones; all of them when it is left out. `resources` and
    `prompts` are what a model may read of the server beside its tools: patterns of URIs and of names.
    `${NAME}` in a header or a client secret stands for a variable of the environment.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    url: str | None = None
    headers: dict[str, str] = {}
    oauth: OAuth | None = None
    allow: tuple[str, ...] = ()
    hands: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    resources: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    suite: bool = False
    at_once: int | None = Field(None, gt=0)
    runbooks: RunbookBinding | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the server is handed and nobody else may see: in headers, in variables called so, in its URL."""
        given = [*self.headers.values(), *(value for name, value in self.env.items() if _SECRET.search(name))]
        asked = urlsplit(self.url or "")
        given += [asked.password or "", *(value for _, value in parse_qsl(asked.query))]
        given += [value.partition(" ")[2] for value in given]  # as of "Bearer …"
        return tuple(sorted({value for value in given if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True))

    @field_validator("headers")
    @classmethod
    def _with_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        return filled_in(headers)

    @model_validator(mode="after")
    def _can_be_reached(self) -> "ServerSpec":
        if bool(self.command) == bool(self.url):
            raise ValueError("a server needs either a command or a url")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        if self.oauth and not self.url:
            raise ValueError("a server that is started needs no oauth: hand it what it needs with env")
        return self

    @model_validator(mode="after")
    def _reads_or_writes(self) -> "ServerSpec":
        names = [entry.partition("@")[0] for entry in (*self.allow, *self.hands)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"allow and hands name {', '.join(twice)} twice: name each tool once, in one of them")
        return self

    @model_validator(mode="after")
    def _may_ask_what_it_names(self) -> "ServerSpec":
        allowed = {entry.partition("@")[0] for entry in self.allow}
        wanted = self.runbooks.tools if self.runbooks and not self.suite else ()
        if unnamed := [tool for tool in wanted if tool not in allowed]:
            raise ValueError(f"runbooks names the tool {unnamed[0]}, and allow does not: what is asked stands in allow")
        if unread := [tool for tool in self.models or () if not self.suite and tool not in allowed]:
            raise ValueError(f"models names the tool {unread[0]}, and allow does not: a model gets none but those")
        return self


_NO_LONGER_THAN = (
    ("settle_seconds", "recovery_seconds"),
    ("subagent_seconds", "investigation_seconds"),
    ("model_call_seconds", "model_task_seconds"),
    ("model_task_usd", "model_incident_usd"),
    ("model_task_tokens", "model_incident_tokens"),
)
"""Of each two settings the first is a part of the second."""


class Settings(ModelSettings):
    """Everything that can be set; the defaults suit a team with minute-resolution telemetry."""

    model_config = SettingsConfigDict(
        env_prefix="MIDWATCH_",
        env_nested_delimiter="__",
        env_ignore_empty=True,  # what is left blank, in compose or a manifest, sets nothing
        frozen=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # a value may be a secret in the wrong place
    )

    data_dir: Path = Field(Path(".midwatch"), description="the journal and the evidence live here")
    database_url: Secret | None = Field(
        None, description="a PostgreSQL for journal and evidence, which hosts on several machines can share"
    )
    api: ApiSettings | None = Field(None, description="how the HTTP API is reached")
    store: Path | None = Field(None, description="the embedded store that the suite's own servers read")
    servers_file: Path | None = Field(None, description="a JSON file with mcpServers, as Claude Desktop has it")
    steering_dir: Path = Field(Path("steering"), description="markdown files that guide investigations")
    byo_mapping: Path | None = Field(None, description="mapping file of the byo server; it is left out without one")
    cluster: Literal["store", "live", "off"] | None = Field(
        None, description="where the cluster server reads; left out unless the store holds objects of a cluster"
    )
    declared_topology: Path | None = Field(None, description="a JSON file with relations that no server can see")
    roll_back_url: str | None = Field(None, description="where roll-backs are asked for; none are possible without")

    listen_address: str = Field("127.0.0.1", description="address that alerts are taken at")
    listen_port: int = Field(8750, ge=0, le=65535, description="port that alerts are taken at; 0 for any free one")
    run_store: bool = Field(True, description="whether the embedded store runs beside the host")
    store_port: int = Field(4318, ge=0, le=65535, description="port of the store's OTLP receiver")
    grace_seconds: float = Field(20, gt=0, le=600, description="how long requests under way may take when it stops")
    intake: IntakeSettings | None = Field(None, description="who may send alerts over HTTP, and how much")
    correlation: CorrelationSettings = Field(CorrelationSettings(), description="how alerts become incidents")

    lookback_seconds: float = Field(900, gt=0, description="how long before an alert its onset is looked for")
    gather_seconds: float = Field(10, ge=0, description="how long after an alert telemetry of it may still come in")
    settle_seconds: float = Field(60, gt=0, description="how long to wait after a step before judging health")
    recovery_seconds: float = Field(600, gt=0, description="how long recovery may take before a step is undone")
    approval_seconds: float = Field(3600, gt=0, description="how long a plan waits for a person")

    investigations_at_once: int = Field(4, gt=0, description="investigations that a host works on at the same time")
    team_investigations_at_once: int = Field(
        4, gt=0, description="investigations of one team at the same time, over all hosts"
    )
    server_calls_at_once: int | None = Field(
        None, gt=0, description="tool calls to one server at the same time, over all hosts"
    )
    takeover_seconds: float = Field(
        12, gt=0, description="how long a host may be silent before others take its investigations over"
    )
    investigation_seconds: float = Field(120, gt=0, description="time for one investigation, up to its conclusion")
    investigation_calls: int = Field(120, gt=0, description="tool calls for one investigation")
    subagent_seconds: float = Field(30, gt=0, description="time for one subagent")
    subagent_calls: int = Field(12, gt=0, description="tool calls for one subagent")
    call_seconds: float = Field(20, gt=0, description="time for one tool call")
    connect_seconds: float = Field(60, gt=0, description="time for a server to come up")
    parallel_subagents: int = Field(8, gt=0, description="subagents at work at the same time")
    parallel_calls: int = Field(16, gt=0, description="tool calls of one investigation at the same time")
    question_seconds: float = Field(60, gt=0, description="time for the fresh looks that one question leads to")
    question_calls: int = Field(20, gt=0, description="tool calls that one question leads to")
    channels: dict[ChannelName, AnyChannel] = Field({}, description="where people are told, each place by a name")
    retention: RetentionSettings = Field(RetentionSettings(), description="how long investigations are kept")
    watch: WatchSettings = Field(WatchSettings(), description="how incidents are watched after their conclusion")

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        kind = url.get_secret_value().partition("://")[0].partition("+")[0] if url else "postgresql"
        if kind not in ("postgresql", "postgres"):
            raise ValueError("must be an address like postgresql://user:password@host:5432/name")
        return url

    @property
    def own_store(self) -> Path:
        """Where `midwatch up` keeps the embedded store when no other folder is named."""
        return self.data_dir / "store"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse what cannot be meant; a default that somebody did not think of is no contradiction."""
        said = self.model_fields_set
        for less, more in _NO_LONGER_THAN:
            if {less, more} <= said and getattr(self, less) > getattr(self, more):
                raise contradiction((less, more), f"{less} is more than {more}, within which it falls")
        if self.model_api_key and self.model_api_key_file:
            both = ("model_api_key", "model_api_key_file")
            raise contradiction(both, "both give the model's key: leave one of them out")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the command line go before the environment, and that before the settings file; raises `BadSettings`."""
        file = read_settings_file()
        values = dict(file.values) if file else {}
        return init_settings, Variables(settings_cls), InitSettingsSource(settings_cls, values)


class Variables(EnvSettingsSource):
    """The environment; what should be JSON and is not is left to the setting to judge, so that all faults are told."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return what a variable holds."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value
