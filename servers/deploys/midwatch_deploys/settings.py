"""Settings of the deploys server: where the store is, and whether there is a way to roll back."""

from pathlib import Path
from typing import Self

from pydantic import AliasChoices, AnyHttpUrl, Field, model_validator

from midwatch_kit import ServerSettings


class DeploysSettings(ServerSettings):
    """How the deploys server is started; without `enable_roll_back` it has no tool that writes."""

    store: Path = Field(validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="the store's directory")
    enable_roll_back: bool = Field(False, description="offer the tool roll_back, which writes to production")
    roll_back_url: AnyHttpUrl | None = Field(None, description="the deployer that roll-backs are asked of")
    roll_back_seconds: float = Field(100.0, gt=0, description="how long the deployer may take")

    @model_validator(mode="after")
    def _roll_back_has_somewhere_to_go(self) -> Self:
        if self.enable_roll_back and self.roll_back_url is None:
            raise ValueError(
                "--enable-roll-back needs a deployer to ask: name it with --roll-back-url or MIDWATCH_ROLL_BACK_URL"
            )
        return self
