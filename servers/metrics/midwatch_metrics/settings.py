"""Settings of the metrics server: those of every server, and where the store is."""

from pathlib import Path

from pydantic import AliasChoices, Field

from midwatch_kit import ServerSettings


class MetricsSettings(ServerSettings):
    """How the metrics server is started: `MIDWATCH_STORE` or `--store` names the store's directory."""

    store: Path = Field(validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="the store's directory")
