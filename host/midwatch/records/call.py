"""What was asked of servers and models, what it cost, and what could not be seen."""

from typing import Literal

from pydantic import Field, JsonValue

from midwatch_kit.records import Evidence, Record


class ToolCall(Record):
    """One question to one server; `records` is the id of the typed records that came with the evidence."""

    server: str
    tool: str
    arguments: dict[str, JsonValue]
    evidence: Evidence | None = None
    records: str | None = None
    lines: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0


class Gap(Record):
    """What could not be looked at, why, and what that may hide."""

    what: str
    why: str
    may_hide: str


class ModelCall(Record):
    """One call of a model: what it took and cost, and how it ended; `error` is why there was no answer.

    What a `question` cost comes out of the question's own purse, and not out of that of the investigation.
    """

    model: str
    purpose: Literal["investigation", "question"] = "investigation"
    input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    stop: str = ""
    error: str = ""
    answer: str = Field("", description="where the answer is kept: by the hash of its bytes, as evidence is")

    @property
    def tokens(self) -> int:
        """All tokens that were sent and received."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens + self.output_tokens


class Budget(Record):
    """What an investigation has spent, and what it may spend."""

    seconds: float
    seconds_allowed: float
    tool_calls: int
    tool_calls_allowed: int
    tokens: int = 0
    money_usd: float = 0.0
