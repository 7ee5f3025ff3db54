"""What can be set about how alerts become incidents."""

from pydantic import BaseModel, ConfigDict, Field


class CorrelationSettings(BaseModel):
    """How alerts become incidents; steering files can set the times for their own services."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shadow: bool = Field(False, description="only record what correlation would have done; each alert is an incident")
    window_minutes: float = Field(30, gt=0, le=1440, description="starts further apart are never of one outage")
    reopen_minutes: float = Field(10, ge=0, le=1440, description="what comes back sooner is the same incident")
    remember_hours: float = Field(24, gt=0, le=720, description="how long what is going on is held in memory")
    most_waiting: int = Field(20_000, gt=0, description="alerts that wait to be stored before senders are told to wait")
