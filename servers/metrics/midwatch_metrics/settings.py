"""Settings of the metrics server: those of every server, and where metrics are. One that is set turns a backend on."""

from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr, model_validator

from midwatch_kit import BadInput, ServerSettings

_PLACES: Final = ("store", "prometheus_url")


class MetricsSettings(ServerSettings):
    """How the metrics server is started: at least one place to read metrics from, several if there are."""

    store: Path | None = Field(None, description="the embedded store's directory")

    prometheus_url: str | None = Field(None, description="Prometheus, or anything with its API")
    prometheus_token: SecretStr | None = Field(None, description="bearer token; better in the environment")
    prometheus_token_file: Path | None = Field(None, description="a file with the bearer token")
    prometheus_user: str | None = Field(None, description="user, for basic authentication")
    prometheus_password: SecretStr | None = Field(None, description="its password; better in the environment")
    prometheus_password_file: Path | None = Field(None, description="a file with the password")
    prometheus_tenant: str | None = Field(None, description="X-Scope-OrgID, for Mimir and the like")
    prometheus_service_labels: str = Field(
        "service_name,service,app,app_kubernetes_io_name,job",
        description="labels that name the service; the first that a series has counts",
    )
    prometheus_instance_labels: str = Field(
        "service_instance_id,pod,instance", description="labels that name the instance, likewise"
    )
    prometheus_version_labels: str = Field(
        "service_version,app_kubernetes_io_version,version", description="labels that name the version, likewise"
    )

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if not any(getattr(self, place) for place in _PLACES):
            names = ", ".join(f"MIDWATCH_{place.upper()}" for place in _PLACES)
            raise ValueError(f"no place to read metrics from: set one of {names}, or several")
        return self


def secret_of(told: SecretStr | None, file: Path | None, name: str) -> str | None:
    """Return a secret as the environment has it, or as its file does; raises `BadInput` naming the file."""
    if told is not None:
        return told.get_secret_value()
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise BadInput(f"{name}_FILE: cannot read {file} ({type(error).__name__})") from None
