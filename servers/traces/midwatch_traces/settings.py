"""Settings of the traces server: those of every server, and where the store is."""

from pathlib import Path

from pydantic import AliasChoices, Field

from midwatch_kit.settings import ServerSettings


class TracesSettings(ServerSettings):
    """How to reach the traces server, and the store it reads."""

    store: Path = Field(
        validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="directory of the telemetry store"
    )
