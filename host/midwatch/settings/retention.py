"""The settings of retention: how long investigations and evidence are kept."""

from pydantic import BaseModel, ConfigDict, Field


class RetentionSettings(BaseModel):
    """What is kept for how long; without days everything is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: float | None = Field(None, gt=0, description="days after its last record until an investigation goes")
    evidence_days: float = Field(7, gt=0, description="days until evidence goes that no record names")
