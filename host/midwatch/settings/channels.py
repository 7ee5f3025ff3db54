"""Where people are told: one model for each kind of channel, and which incidents each of them is told of.

Secrets are fields of their own; an address that holds a token is one as well. Tokens leave over TLS only, save to this
machine itself.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from midwatch.records import Severity
from midwatch.settings.secret import Secret
from midwatch_kit.records import EntityId

TELLING: Final = "telling "
"""How a gap begins that is not of looking: a channel could not be told."""
Stage = Literal["opened", "concluded", "waits", "decided", "acted", "recovered", "reopened", "failed", "closed"]
"""The turning points of an incident; `closed` is linked to another, skipped or cancelled."""
_ORDER: Final = [*Severity]
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


def _address(url: str) -> str:
    told = urlsplit(url)
    if told.scheme not in ("http", "https") or not told.hostname:
        raise ValueError("it is no address: write https://host/path")
    return url.rstrip("/")


def _safe(url: str) -> str:
    """Return an address that secrets may be sent to; raises `ValueError`, which does not quote what may be secret."""
    told = urlsplit(_address(url))
    if told.scheme == "http" and told.hostname not in _LOOPBACK:
        raise ValueError(f"http://{told.hostname} would send what is secret in the clear: write https://")
    return url.rstrip("/")


def _safe_secret(url: SecretStr) -> SecretStr:
    _safe(url.get_secret_value())
    return url


Url = Annotated[str, AfterValidator(_safe)]
SecretUrl = Annotated[Secret, AfterValidator(_safe_secret)]


class ChannelSettings(BaseModel):
    """What every channel has: which incidents it is told of, and how much at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity = Field(Severity.INFO, description="what is less severe is not told here")
    services: tuple[str, ...] = Field(("*",), description="patterns of service names; one of them has to fit")
    teams: tuple[str, ...] = Field((), description="patterns of owners; without any, everybody's incidents are told")
    tell: tuple[Stage, ...] | None = Field(None, description="turning points that are told, instead of the usual ones")
    seconds: float = Field(15, gt=0, le=60, description="how long one request may take")
    at_once: int = Field(4, ge=1, le=32, description="incidents that are told of at the same time")

    def concerns(self, severity: Severity, service: EntityId, owner: str) -> bool:
        """Return whether an incident is told here at all."""
        if _ORDER.index(severity) > _ORDER.index(self.severity):
            return False
        names = (service, service.partition(":")[2])
        if not any(fnmatchcase(name, pattern) for name in names for pattern in self.services):
            return False
        return not self.teams or any(fnmatchcase(owner, pattern) for pattern in self.teams)


class SlackSettings(ChannelSettings):
    """One Slack channel; with an app token (Socket Mode) or a signing secret (HTTP) people can answer there."""

    kind: Literal["slack"]
    channel: str = Field(pattern=r"^[CGD][A-Z0-9]{2,20}$", description="the channel's id, as C0123456789")
    bot_token: Secret
    app_token: Secret | None = Field(None, description="xapp-…, for Socket Mode")
    signing_secret: Secret | None = Field(None, description="for events and buttons over HTTP")
    approvers: dict[str, str] = Field({}, description="who may approve: Slack user ids, each with the person's name")
    api: Url = "https://slack.com/api"


class TeamsSettings(ChannelSettings):
    """A Teams channel or chat, through a webhook of the Workflows app; its address is a secret."""

    kind: Literal["teams"]
    url: SecretUrl


class EmailSettings(ChannelSettings):
    """People by e-mail, over SMTP."""

    kind: Literal["email"]
    host: str
    port: int = Field(587, ge=1, le=65535)
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = Field(None, description="certificates that are trusted beside the system's")
    username: str | None = None
    password: Secret | None = None
    sender: str = Field(pattern=r"^[^\s@<>,]+@[^\s@<>,]+$")
    to: tuple[Annotated[str, StringConstraints(pattern=r"^[^\s@<>,]+@[^\s@<>,]+$")], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _not_in_the_clear(self) -> Self:
        if self.password and self.encryption == "none" and self.host not in _LOOPBACK:
            raise ValueError("encryption none would send the password in the clear: use starttls or tls")
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password go together")
        return self


class PagerDutySettings(ChannelSettings):
    """Notes on the PagerDuty incidents that alerts came from."""

    kind: Literal["pagerduty"]
    token: Secret
    sender: str = Field(pattern=r"^\S+@\S+$", description="e-mail address of the user who writes the notes")
    api: Url = "https://api.pagerduty.com"


class PagerDutyEventsSettings(ChannelSettings):
    """An alert in PagerDuty for each incident, for teams whose alerts come from elsewhere."""

    kind: Literal["pagerduty_events"]
    routing_key: Secret
    api: Url = "https://events.pagerduty.com"


class ServiceNowSettings(ChannelSettings):
    """Work notes on the ServiceNow records that alerts came from."""

    kind: Literal["servicenow"]
    url: Url = Field(description="the instance, as https://example.service-now.com")
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = Field(None, description="an OAuth token, instead of username and password")
    table: Literal["incident", "problem", "change_request"] = "incident"

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if bool(self.username and self.password) == bool(self.token):
            raise ValueError("give either username and password, or token")
        return self


class JiraSettings(ChannelSettings):
    """One comment, kept up to date, on the Jira issue that an alert names."""

    kind: Literal["jira"]
    url: Url = Field(description="the site, as https://example.atlassian.net")
    email: str | None = Field(None, description="whose token it is; without it the token is sent as a bearer")
    token: Secret
    projects: tuple[str, ...] = Field(min_length=1, description="keys of the projects in which may be written")
    issue: str | None = Field(None, description="the issue for incidents whose alerts name none")


class GitHubSettings(ChannelSettings):
    """One comment, kept up to date, on the issue, pull request, commit or deployment that an alert names."""

    kind: Literal["github"]
    token: Secret
    repositories: tuple[str, ...] = Field(min_length=1, description="patterns of owner/name in which may be written")
    issue: str | None = Field(
        None, pattern=r"^[\w.-]+/[\w.-]+#\d+$", description="owner/name#12, for incidents whose alerts name nothing"
    )
    api: Url = "https://api.github.com"


class WebhookSettings(ChannelSettings):
    """A program, told of each turning point by a signed CloudEvent."""

    kind: Literal["webhook"]
    url: Annotated[str, AfterValidator(_address)]
    secret: Secret = Field(description="whsec_… as Standard Webhooks has it")
    source: str = Field("/midwatch", description="who sends: the attribute source of the events")


AnyChannel = Annotated[
    SlackSettings
    | TeamsSettings
    | EmailSettings
    | PagerDutySettings
    | PagerDutyEventsSettings
    | ServiceNowSettings
    | JiraSettings
    | GitHubSettings
    | WebhookSettings,
    Field(discriminator="kind"),
]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
