"""The settings of the recovery watch: how long and how often midwatch looks at a symptom once it has concluded."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class WatchSettings(BaseModel):
    """How an incident is watched after its conclusion, and what that may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="whether incidents are watched after their conclusion at all")
    first_seconds: float = Field(60, gt=0, description="how long after a report the first look comes")
    longest_seconds: float = Field(1800, gt=0, description="looks come at growing intervals, at most this long")
    gone_seconds: float = Field(600, gt=0, description="how long a symptom has to be gone for the incident to close")
    requests: int = Field(30, ge=1, description="the fewest requests that must have gone well in that time")
    seconds: float = Field(86_400, gt=0, description="how long an incident is watched before midwatch gives up")
    calls: int = Field(200, ge=1, description="tool calls that watching one incident may take")
    calls_per_minute: int = Field(30, ge=1, description="tool calls a minute for all watched incidents of one host")
    at_once: int = Field(4, ge=1, description="incidents that are looked at at the same time")
    reopen_seconds: float = Field(3600, ge=0, description="how long a closed incident is looked at, to reopen it")
    reopens: int = Field(3, ge=0, description="how often one incident is investigated again because it came back")

    @model_validator(mode="after")
    def _grows(self) -> "WatchSettings":
        if self.longest_seconds < self.first_seconds:
            raise ValueError("longest_seconds is less than first_seconds: intervals grow from the first to the longest")
        return self
