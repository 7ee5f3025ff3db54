"""What a person says the cause really was."""

from pydantic import Field

from midwatch.records.hypothesis import HypothesisKind
from midwatch_kit.records import EntityId, Record


class NamedCause(Record):
    """A cause by its kind and place, and by the id of the change where it is one of several there."""

    kind: HypothesisKind
    entity: EntityId
    change: str = ""


class Feedback(Record):
    """What a person said the cause really was; without a cause, that there was no incident. The latest counts."""

    causes: tuple[NamedCause, ...] = ()
    note: str = Field("", max_length=2000)
    by: str = Field(min_length=1, max_length=200)
