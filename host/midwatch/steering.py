"""Steering files: markdown with front matter that tells midwatch what a team knows of its own systems.

The front matter says when a file applies and what it changes; the text below it is for people (and, later, models).
A file can add hypotheses to test, say that a signal lags, and name noise to leave out. It cannot grant anything.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from midwatch.errors import BadSteering
from midwatch.records import HypothesisKind
from midwatch_kit.records import EntityId, Observation, Record, Signal

_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)


class AppliesTo(Record):
    """When a steering file applies: for these services (by name; none named means any)."""

    services: tuple[str, ...] = ()


class Check(Record):
    """A hypothesis that a team wants tested whenever the file applies."""

    kind: HypothesisKind
    entity: EntityId
    because: str


class Steering(Record):
    """One steering file: its front matter, and its text."""

    name: str
    description: str = Field(max_length=1024)
    applies_to: AppliesTo = AppliesTo()
    checks: tuple[Check, ...] = ()
    lag_seconds: dict[Signal, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    ignore: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        (), description="texts; an observation that says one of them is left out"
    )
    leave_out: tuple[EntityId, ...] = Field((), description="entities that are noise: whatever is seen of them")
    never_roll_back: tuple[EntityId, ...] = Field((), description="what only a person may take back to an old version")
    text: str = ""

    def applies(self, services: Iterable[EntityId]) -> bool:
        """Return whether the file has a say when these services are in scope."""
        wanted = {f"service:{name}" for name in self.applies_to.services}
        return not wanted or not wanted.isdisjoint(services)

    def is_runbook(self, named: str) -> bool:
        """Return whether an alert that names a runbook, by its name or its address, means this file."""
        return (
            self.name.casefold()
            == named.partition("#")[0].rstrip("/").rpartition("/")[2].removesuffix(".md").casefold()
        )

    def silences(self, observation: Observation) -> bool:
        """Return whether the file calls this observation noise: by what it says, or by what it is of."""
        part_of = observation.related if observation.entity.startswith("instance:") else None
        if {observation.entity, part_of} & {*self.leave_out}:
            return True
        said = f"{observation.statement} {observation.attributes}".casefold()
        return any(text.casefold() in said for text in self.ignore)


def load_steering(folder: Path) -> tuple[Steering, ...]:
    """Read every `*.md` file of a folder, by name; a folder that isn't there holds none. Raises `BadSteering`."""
    return tuple(_read(path) for path in sorted(folder.glob("*.md")))


def _read(path: Path) -> Steering:
    try:
        parts = _FENCE.split(path.read_text(encoding="utf-8-sig"), maxsplit=2)
        if len(parts) != 3 or parts[0].strip():
            raise ValueError("the file must begin with a line ---, and a second one must follow")
        front = yaml.safe_load(parts[1]) or {}
        return Steering.model_validate({**front, "text": parts[2].strip()})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise BadSteering(f"{path}: {faults}") from None
    except (ValueError, TypeError, yaml.YAMLError, OSError) as error:
        raise BadSteering(f"{path}: no front matter between two lines of --- can be read: {error}") from None
