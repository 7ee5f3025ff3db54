"""What can be set of intake: per source who may send, and what its labels mean; and the bounds of it all."""

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from midwatch.settings.secret import Secret

_SHORTEST = 8


class SourceSettings(BaseModel):
    """One source: its secrets, and which of its labels name the service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: tuple[Secret, ...] = Field((), description="any of them may have signed: two while you rotate")
    unsigned: bool = Field(False, description="take what nobody signed, though the host listens to other machines")
    service_labels: tuple[str, ...] = Field((), description="labels that name the service, the most telling first")
    service: str = Field("", max_length=200, description="what an alert is about that names no service")
    replay_seconds: float = Field(300, gt=0, le=86_400, description="how old a signature with a time may be")
    per_second: float = Field(2000, gt=0, description="requests that are taken, as a mean")
    burst: int = Field(10_000, gt=0, description="requests that are taken at once, after a pause")

    @field_validator("secrets")
    @classmethod
    def _long_enough(cls, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        if any(len(secret.get_secret_value()) < _SHORTEST for secret in secrets):
            raise ValueError(f"a secret has fewer than {_SHORTEST} characters: it could be guessed")
        return secrets

    @model_validator(mode="after")
    def _means_one_thing(self) -> "SourceSettings":
        if self.secrets and self.unsigned:
            raise ValueError("it has secrets and takes what is unsigned as well: leave one of them out")
        return self


class SnsSettings(SourceSettings):
    """CloudWatch by SNS: what is signed is the message itself, with Amazon's certificate."""

    topics: tuple[str, ...] = Field(
        (), description="ARNs of the topics that may send; their subscriptions are confirmed"
    )
    replay_seconds: float = Field(3900, gt=0, le=86_400, description="SNS tries for up to an hour")

    @field_validator("topics")
    @classmethod
    def _are_topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            if topic.count(":") != 5 or not topic.startswith("arn:"):
                raise ValueError(f"{topic!r} is no ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:alarms")
        return topics


class IntakeSettings(BaseModel):
    """Alerts over HTTP: one member for each source, and what holds for all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alertmanager: SourceSettings = SourceSettings()
    cloudwatch: SnsSettings = SnsSettings()
    datadog: SourceSettings = SourceSettings()
    devops_agent: SourceSettings = SourceSettings()
    dynatrace: SourceSettings = SourceSettings()
    eventbridge: SourceSettings = SourceSettings()
    generic: SourceSettings = SourceSettings()
    github: SourceSettings = SourceSettings()
    grafana: SourceSettings = SourceSettings()
    newrelic: SourceSettings = SourceSettings()
    opsgenie: SourceSettings = SourceSettings()
    pagerduty: SourceSettings = SourceSettings()
    sentry: SourceSettings = SourceSettings()
    servicenow: SourceSettings = SourceSettings()
    synthetic: SourceSettings = SourceSettings()
    unsigned: bool = Field(False, description="the same for every source that has no secrets")
    max_body_bytes: int = Field(2**20, gt=0, le=2**28, description="of one body, unpacked")
    waiting: int = Field(512, gt=0, description="requests that may be under way at once; the next gets 429")
