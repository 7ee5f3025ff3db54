"""One look at an incident that is watched after its conclusion."""

from typing import Literal

from pydantic import Field

from midwatch_kit.records import Moment, Record, Window

Symptom = Literal["gone", "there", "quiet", "unknown"]


class Watch(Record):
    """How the symptom of a watched incident fares, over the time since the look before.

    `quiet` is too little traffic to tell, `unknown` that nobody can say; neither is recovery. `waited_seconds` is how
    long it really was since the look before, by a clock that does not jump.
    """

    round: int = Field(ge=1, description="the look of the investigation whose report this follows")
    number: int = Field(ge=1, description="of the look, within its round")
    at: Moment
    window: Window
    symptom: Symptom
    statement: str
    requests: int = 0
    errors: int = 0
    latency_p95_ms: float | None = None
    evidence: tuple[str, ...] = ()
    calls: int = Field(0, description="tool calls that it took")
    waited_seconds: float
    next_seconds: float = Field(0, description="how long after it the next look comes; 0 when none does")
