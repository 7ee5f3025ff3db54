"""What a fault or a red herring gets to act with. Data only: whatever happens is in the acting module."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from robots.alarm import RULES, Rule
from robots.configuration import Configuration
from robots.deployer import Deployer
from robots.events import Note
from robots.fleet import Site
from robots.load import Load
from robots.ongoing import Ongoing
from robots.plan import Plan, make_plan
from robots.record import Recorder
from robots.repository import Repository
from robots.third_party import ThirdParty


@dataclass(frozen=True)
class Scene:
    """A running application, and the hands on it.

    `ongoing` is for what goes on after a strike, `baseline` the healthy seconds before it.
    """

    plan: Plan
    site: Site
    repository: Repository
    deployer: Deployer
    configuration: Configuration
    load: Load
    atlas: ThirdParty
    recorder: Recorder
    note: Note
    ongoing: Ongoing
    baseline: float


Kind = Literal["change", "resource", "dependency", "traffic", "state", "access", "platform", "operator"]


@dataclass(frozen=True)
class Cause:
    """A cause, or what could be taken for one: the kind and the entity are midwatch's words."""

    kind: Kind
    entity: str

    def document(self) -> dict[str, JsonValue]:
        """Return the cause as JSON."""
        return {"kind": self.kind, "entity": self.entity}


@dataclass(frozen=True)
class Truth:
    """What an investigation should find: the causes, the gravest first, and what it must have ruled out."""

    outcome: Literal["root_cause", "no_incident"]
    causes: tuple[Cause, ...] = ()
    ruled_out: tuple[Cause, ...] = ()

    def document(self) -> dict[str, JsonValue]:
        """Return the truth as JSON."""
        return {
            "outcome": self.outcome,
            "causes": [cause.document() for cause in self.causes],
            "ruled_out": [cause.document() for cause in self.ruled_out],
        }


@dataclass(frozen=True)
class Struck:
    """What was really done: a sentence, and the record that it left, such as a change's id, commit and files."""

    text: str
    trigger: dict[str, JsonValue]


@dataclass(frozen=True)
class Fault:
    """One way to break the application and to mend it, in plain words and as functions.

    `acts` happen in the healthy time before the fault, beside the red herrings that every run has, each at its share
    of the baseline. `mend` applies the fix that `fix` says in words, after which customers are served again. The
    services that it `spares` are no red herring's, so that no harmless change is like the one that is to blame.
    `settings` are what some services of the run are told from its start, by service; `equip` holds what its machines
    have besides, around everything else, and gets the folder in which each instance has one of its own.
    """

    name: str
    breaks: str
    seen: str
    fix: str
    ruled_out: tuple[str, ...]
    truth: Callable[[Plan], Truth]
    strike: Callable[[Scene], Awaitable[Struck]]
    mend: Callable[[Scene], Awaitable[None]]
    rules: tuple[Rule, ...] = RULES
    acts: tuple[tuple[float, Callable[[Scene], Awaitable[None]]], ...] = ()
    spares: tuple[str, ...] = ()
    settings: Callable[[Plan], Mapping[str, Mapping[str, JsonValue]]] = lambda _: {}
    equip: Callable[[Plan, Path], AbstractAsyncContextManager[None]] = lambda _, __: nullcontext()

    def plan(self, seed: int) -> Plan:
        """Return the plan of a seed for this fault."""
        return make_plan(seed, self.spares)
