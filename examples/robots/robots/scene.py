"""What a fault or a red herring gets to act with. Data only: whatever happens is in the acting module."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from robots.alarm import RULES, Rule
from robots.deployer import Deployer
from robots.events import Note
from robots.fleet import Site
from robots.load import Load
from robots.plan import Plan
from robots.record import Recorder
from robots.repository import Repository


@dataclass(frozen=True)
class Scene:
    """A running application, and the hands on it."""

    plan: Plan
    site: Site
    repository: Repository
    deployer: Deployer
    load: Load
    recorder: Recorder
    note: Note


@dataclass(frozen=True)
class Truth:
    """What an investigation should find: the kinds and entities are midwatch's words."""

    outcome: Literal["root_cause", "no_incident"]
    kind: Literal["change", "operator"] | None = None
    entity: str | None = None

    def document(self) -> dict[str, JsonValue]:
        """Return the truth as JSON."""
        return {"outcome": self.outcome, "kind": self.kind, "entity": self.entity}


@dataclass(frozen=True)
class Struck:
    """What was really done: a sentence, and the record that it left, such as a change's id, commit and files."""

    text: str
    trigger: dict[str, JsonValue]


@dataclass(frozen=True)
class Fault:
    """One way to break the application, in plain words and as a function."""

    name: str
    breaks: str
    seen: str
    ruled_out: tuple[str, ...]
    truth: Callable[[Plan], Truth]
    strike: Callable[[Scene], Awaitable[Struck]]
    rules: tuple[Rule, ...] = RULES
