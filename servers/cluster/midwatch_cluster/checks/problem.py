"""What a check tells: which object is wrong, why, since when, and which fields of which objects say so."""

from dataclasses import dataclass
from datetime import datetime

from midwatch_cluster.state import Json, Ref, first_seen, ref_of

Field = tuple[Ref, str]
"""An object and the JSON Pointer to one of its fields."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now.

    `about` is the object to put right, `victim` the one that suffers if that is another. `reason` names the problem
    in snake_case, `cause` is the kind of hypothesis that it speaks for, `statement` says it in a sentence. `since` is
    None when nothing tells. `certain` is False for what often is wrong but may be meant so. `effect` is True for what
    shows that something is wrong and not why, such as a crash: another problem of the same object explains it.
    """

    about: Ref
    reason: str
    cause: str
    statement: str
    fields: tuple[Field, ...]
    victim: Ref | None = None
    since: datetime | None = None
    certain: bool = True
    effect: bool = False


def said(event: Json) -> Field:
    """Return the field of an event that holds what it says."""
    return ref_of(event), "/message"


def earliest(events: list[Json]) -> datetime | None:
    """Return when the first of some events was first seen (UTC)."""
    return min((seen for event in events if (seen := first_seen(event))), default=None)
