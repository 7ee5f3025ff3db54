"""Steering files: markdown with front matter that tells midwatch what a team knows of its own systems.

The front matter says when a file applies and what it changes; the text below it is for people and for models. A file
can add hypotheses to test, say that a signal lags, name noise to leave out, forbid questions, and require others. It
cannot grant anything. A file may as well be a skill by the Agent Skills specification
(https://agentskills.io/specification): a folder with a SKILL.md, whose further fields are read over, and whose other
files are read when its text names them.
"""

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from midwatch.correlation.rules import AlertRules, Rules
from midwatch.errors import BadSteering
from midwatch.records import HypothesisKind
from midwatch.steering.skill_files import named_in
from midwatch.wording import in_words
from midwatch_kit.records import EntityId, Observation, Record, Signal

_OF_SKILLS = frozenset({"license", "compatibility", "metadata", "allowed-tools"})
"""What a skill may say besides; `allowed-tools` allows nothing here."""
_NOT_SAID = frozenset({"text", "folder", "beside"})
"""What no front matter says: it follows from the file."""
_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)


Phase = Literal["lead", "test", "challenge", "plan"]
"""Where a model reads a file: when it chooses what to test, tests it, tries to disprove the leader, or plans."""


class AppliesTo(Record):
    """When a steering file applies: for these services (by name), kinds of hypotheses, phases; none means any.

    Kinds and phases are about who reads the text; what the front matter changes holds whenever a service is in scope.
    """

    services: tuple[str, ...] = ()
    kinds: tuple[HypothesisKind, ...] = ()
    phases: tuple[Phase, ...] = ()


class Check(Record):
    """A hypothesis that a team wants tested whenever the file applies."""

    kind: HypothesisKind
    entity: EntityId
    because: str


class Requirement(Record):
    """What a team wants asked (a tool) or tested (a kind of cause at a place) before a cause is the root cause."""

    tool: str = Field("", description="as server.tool, with * for any")
    services: tuple[str, ...] = Field((), description="about which it is to be asked, by name; none: about anything")
    kind: HypothesisKind | None = None
    entity: EntityId | None = None
    because: str = ""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if bool(self.tool) == bool(self.kind and self.entity) or bool(self.kind) != bool(self.entity):
            raise ValueError("name either a tool, as server.tool, or both kind and entity")
        if self.services and not self.tool:
            raise ValueError("services go with a tool")
        return self

    @property
    def named(self) -> str:
        """What is required, in words."""
        about = f" about {', '.join(self.services)}" if self.services else ""
        return f"{self.tool}{about}" if self.tool else f"{self.kind} at {self.entity}"

    def names(self, server: str, tool: str) -> bool:
        """Return whether this tool is one that is to be asked."""
        return bool(self.tool) and fnmatchcase(f"{server}.{tool}", self.tool)


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
    require: tuple[Requirement, ...] = Field((), description="what must be asked or tested before a root cause")
    forbid: tuple[str, ...] = Field((), description="tools that are not asked, as server.tool, with * for any")
    alerts: AlertRules = Field(AlertRules(), description="what becomes of alerts, before anything is investigated")
    text: str = ""
    folder: Path | None = Field(None, description="where a skill is; the rest is of this file alone")
    beside: tuple[str, ...] = Field((), description="files of a skill's folder that its text names")

    @property
    def to_test(self) -> tuple[Check, ...]:
        """What the file wants tested: its checks, and the causes that it requires a test of."""
        required = ((r.kind, r.entity, r.because or "a house rule requires it") for r in self.require)
        return (*self.checks, *(Check(kind=k, entity=e, because=b) for k, e, b in required if k and e))

    def applies(self, services: Iterable[EntityId]) -> bool:
        """Return whether the file has a say when these services are in scope."""
        wanted = {f"service:{name}" for name in self.applies_to.services}
        return not wanted or not wanted.isdisjoint(services)

    def is_read(self, phase: Phase, kind: HypothesisKind | None = None) -> bool:
        """Return whether a model reads the text in a phase, where it is about one kind of hypothesis or about all."""
        to = self.applies_to
        return bool(self.text) and phase in (to.phases or (phase,)) and (kind is None or kind in (to.kinds or (kind,)))

    def forbids(self, server: str, tool: str) -> bool:
        """Return whether the file says that a tool is not to be asked."""
        return any(fnmatchcase(f"{server}.{tool}", pattern) for pattern in self.forbid)

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


def alert_rules(steering: Iterable[Steering]) -> Rules:
    """Return what the files say about alerts; a file's rules are about the services that it applies to."""
    return Rules((file.name, file.applies_to.services, file.alerts) for file in steering if file.alerts != AlertRules())


def forbidden_by(steering: Iterable[Steering]) -> Callable[[str, str], str]:
    """Return what says, of a server and a tool, which file forbids to ask it; '' when none does."""
    files = [file for file in steering if file.forbid]
    return lambda server, tool: next((f"{file.name} forbids it" for file in files if file.forbids(server, tool)), "")


def load_steering(folder: Path) -> tuple[Steering, ...]:
    """Read every `*.md` and `*/SKILL.md` of a folder, in order; no folder holds none. Raises `BadSteering`."""
    return tuple(map(read, files_of(folder)))


def files_of(folder: Path) -> list[Path]:
    """Return the steering files of a folder, in order."""
    return sorted([*folder.glob("*.md"), *folder.glob("*/SKILL.md")])


def read(path: Path) -> Steering:
    """Return one file; raises `BadSteering`."""
    front: Any = {}
    try:
        parts = _FENCE.split(path.read_text(encoding="utf-8-sig"), maxsplit=2)
        if len(parts) != 3 or parts[0].strip():
            raise ValueError("the file must begin with a line ---, and a second one must follow")
        front, text = yaml.safe_load(parts[1]) or {}, parts[2].strip()
        if taken := sorted(_NOT_SAID & {*front}):
            raise ValueError(f"{taken[0]} is no field of it")
        if path.name != "SKILL.md":
            return Steering.model_validate({**front, "text": text})
        said = {name: value for name, value in front.items() if name not in _OF_SKILLS}
        beside = named_in(text, path.parent)
        return Steering.model_validate({**said, "text": text, "folder": path.parent, "beside": beside})
    except ValidationError as error:
        raise BadSteering(f"{path}: {in_words(error.errors(include_url=False), front)}") from None
    except (ValueError, TypeError, yaml.YAMLError, OSError) as error:
        raise BadSteering(f"{path}: no front matter between two lines of --- can be read: {error}") from None
