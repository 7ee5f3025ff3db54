"""What a person tells an investigation."""

from pydantic import Field

from midwatch.records.hypothesis import HypothesisKind
from midwatch_kit.records import EntityId, Moment, Record


class Steer(Record):
    """What a person told an investigation: a cause to test, noise to leave out, or when to look.

    Noted when it is told, and again, with its effect, by the look that heeded it. It can grant nothing.
    """

    text: str = Field(min_length=1, max_length=1000, description="the person's own words")
    by: str
    kind: HypothesisKind | None = None
    entity: EntityId | None = None
    leave_out: EntityId | None = Field(None, description="whatever is seen of this entity is noise")
    ignore: str | None = Field(None, min_length=3, max_length=200, description="what says this text is noise")
    since: Moment | None = Field(None, description="where the window is to start")
    until: Moment | None = Field(None, description="where the window is to end")
    wave: int | None = Field(None, description="the wave to look at alone: 1 is the first, -1 the latest")
    whole: bool = Field(False, description="takes an earlier choice of a window back")
    at: Moment | None = Field(None, description="when it was told; a wave may have come until then")
    effect: str = ""
