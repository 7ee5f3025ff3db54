"""Settings of the logs server: where the store is, beside what every server has."""

from pathlib import Path

from pydantic import AliasChoices, Field

from midwatch_kit import ServerSettings


class LogSettings(ServerSettings):
    """How the logs server is started: `MIDWATCH_STORE` or `--store` names the store's directory."""

    store: Path = Field(validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="the store's directory")
