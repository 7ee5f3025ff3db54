"""Settings of the traces server: those of every server, and the backends that are on. Each is on when it is named."""

from pathlib import Path

from pydantic import AliasChoices, Field, HttpUrl, SecretStr

from midwatch_kit.settings import AwsSettings


class TracesSettings(AwsSettings):
    """How to reach the traces server, and where it finds spans."""

    store: Path | None = Field(
        None, validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="directory of the telemetry store"
    )
    jaeger_url: HttpUrl | None = Field(None, description="Jaeger's query service, such as http://jaeger:16686")
    jaeger_token: SecretStr | None = Field(None, description="bearer token for Jaeger; better by environment")
    tempo_url: HttpUrl | None = Field(None, description="Tempo's query frontend, such as http://tempo:3200")
    tempo_token: SecretStr | None = Field(None, description="bearer token for Tempo; better by environment")
    tempo_username: str = Field("", description="for basic authentication at Tempo")
    tempo_password: SecretStr | None = Field(None, description="for basic authentication at Tempo")
    tempo_tenant: str = Field("", description="Tempo's tenant (X-Scope-OrgID)")
    tempo_filter: str = Field("", description='what to read at all, as resource.deployment.environment = "prod"')
    xray: bool = Field(False, description="read AWS X-Ray, with the credentials that boto3 finds")
    xray_filter: str = Field("", max_length=1_000, description="what to read at all of X-Ray, as a filter expression")
    traces_most: int = Field(
        2_000, ge=50, le=50_000, description="traces that one question fetches, but for the store; of more, a sample"
    )
