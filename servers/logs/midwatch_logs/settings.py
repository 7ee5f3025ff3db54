"""Settings of the logs server: each backend has one that turns it on, beside what every server has."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, AliasChoices, Field, FilePath, SecretStr, model_validator

from midwatch_kit import ServerSettings
from midwatch_kit.listed import Listed
from midwatch_kit.settings import AwsSettings

_NONE_ON = (
    "no place to read logs from is named: set one or more of MIDWATCH_STORE, MIDWATCH_CLOUDWATCH_LOG_GROUPS, "
    "MIDWATCH_ELASTICSEARCH_URL and MIDWATCH_LOKI_URL"
)


def _is_an_address(url: str | None) -> str | None:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return url


Address = Annotated[str | None, AfterValidator(_is_an_address)]


class StoreSettings(ServerSettings):
    """The embedded store: `MIDWATCH_STORE` or `--store` names its directory."""

    store: Path | None = Field(
        None, validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="the store's directory"
    )


class SampleSettings(ServerSettings):
    """How much a survey reads of a backend that cannot take templates of lines itself."""

    logs_sample_lines: int = Field(
        5_000,
        ge=100,
        le=50_000,
        description="lines that a survey reads of the window, of its warnings, and of the baseline's, each",
    )


class LokiSettings(ServerSettings):
    """Loki: `MIDWATCH_LOKI_URL` turns it on. Labels are names of labels or of structured metadata, first come first."""

    loki_url: Address = Field(None, description="Loki's address, as http://loki:3100; turns Loki on")
    loki_tenant: str = Field("", description="the tenant (X-Scope-OrgID)")
    loki_username: str = Field("", description="for basic authentication")
    loki_password: SecretStr | None = Field(None, description="for basic authentication")
    loki_token: SecretStr | None = Field(None, description="a bearer token")
    loki_selector: str = Field("", description='what to read at all, as namespace="shop"; empty: everything')
    loki_service_label: str = Field("service_name", description="the label that names the service")
    loki_instance_label: str = Field("", description="the label that names the instance; empty: found by itself")
    loki_level_label: str = Field("", description="the label that holds the level; empty: found by itself")
    loki_trace_label: str = Field("trace_id", description="the label or structured metadata with the trace id")
    loki_max_bytes: int = Field(
        50 * 2**30, ge=1, description="bytes that Loki may have to read for one question; more is refused before"
    )


class ElasticsearchSettings(ServerSettings):
    """Elasticsearch: `MIDWATCH_ELASTICSEARCH_URL` turns it on. Fields that are not named are found in the mapping."""

    elasticsearch_url: Address = Field(None, description="Elasticsearch's address; turns Elasticsearch on")
    elasticsearch_index: Listed[str] = Field(
        ["logs-*"], min_length=1, description="indices, data streams or aliases, by names or patterns as logs-*"
    )
    elasticsearch_api_key: SecretStr | None = Field(None, description="an API key, encoded")
    elasticsearch_token: SecretStr | None = Field(None, description="a bearer token, where there is no API key")
    elasticsearch_username: str = Field("", description="for basic authentication, where there is neither")
    elasticsearch_password: SecretStr | None = Field(None, description="for basic authentication")
    elasticsearch_ca_file: FilePath | None = Field(None, description="authorities that may sign its certificate (PEM)")
    elasticsearch_service_field: str = Field("", description="the field that names the service")
    elasticsearch_instance_field: str = Field("", description="the field that names the instance")
    elasticsearch_level_field: str = Field("", description="the field that holds the level")
    elasticsearch_trace_field: str = Field("", description="the field with the trace id")
    elasticsearch_message_field: str = Field("", description="the field with the message")


class CloudWatchLogsSettings(AwsSettings):
    """CloudWatch Logs: `MIDWATCH_CLOUDWATCH_LOG_GROUPS` turns it on."""

    cloudwatch_log_groups: Listed[str] = Field([], description="log groups by name or by prefix with *; turns it on")
    cloudwatch_logs_services: dict[str, str] = Field(
        {}, description="services by name of a log group, with *; else its name tells"
    )
    cloudwatch_logs_max_bytes: int = Field(
        10 * 2**30, ge=1, description="bytes that one query of Logs Insights may read; more is refused before"
    )


class LogSettings(StoreSettings, SampleSettings, LokiSettings, ElasticsearchSettings, CloudWatchLogsSettings):
    """How the logs server is started; at least one backend has to be on."""

    @model_validator(mode="after")
    def _one_is_on(self) -> Self:
        if not (self.store or self.cloudwatch_log_groups or self.elasticsearch_url or self.loki_url):
            raise ValueError(_NONE_ON)
        return self
