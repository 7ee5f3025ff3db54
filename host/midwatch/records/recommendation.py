"""What would have prevented incidents: a recommendation, and the fix that it asks for."""

from typing import Literal

from pydantic import Field

from midwatch_kit.records import Citation, EntityId, Record

Category = Literal["observability", "infrastructure", "governance", "code"]
Priority = Literal["high", "medium", "low"]
Standing = Literal["proposed", "accepted", "rejected", "implemented", "expired"]


class Fix(Record):
    """What is wrong for good, and what to change; `files` were all seen in evidence, `leave_alone` must not be touched.

    `by` is who worded it. What a model worded cites what it read.
    """

    problem: str
    solution: str
    repositories: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    leave_alone: tuple[str, ...] = ()
    cites: tuple[Citation, ...] = ()
    by: Literal["code", "model"] = "code"


class Recommendation(Record):
    """A change that would have prevented incidents; the same one of a later incident updates it.

    `incidents` are those that it would have prevented. `rank` is its place among all, from 1; 0 while it has none.
    `feedback` is what was said of it, and `said_by` who said so. `look` is the look of the investigation that noted it.
    """

    id: str
    title: str = Field(max_length=200)
    category: Category
    entity: EntityId
    priority: Priority = "medium"
    rank: int = 0
    incidents: tuple[str, ...] = ()
    effect: str
    next_steps: tuple[str, ...] = ()
    spec: Fix
    status: Standing = "proposed"
    feedback: str = ""
    said_by: str = ""
    look: int = 1
    version: int = 1
