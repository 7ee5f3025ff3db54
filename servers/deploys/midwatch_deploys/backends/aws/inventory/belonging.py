"""Whose a resource is: as the settings say, else as its tag says, else as its stack's does. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from midwatch_deploys.backends.aws.inventory.arns import DATA, named
from midwatch_deploys.backends.aws.inventory.found import Stack, Thing
from midwatch_deploys.resources import Resources
from midwatch_kit import Basis, EntityId


class Owner(NamedTuple):
    """The service that a resource is of ('' for none), on which basis, and because of what."""

    service: str
    basis: Basis
    because: str


_NOBODY = Owner("", Basis.INFERRED, "")


@dataclass(frozen=True, slots=True)
class Spelled:
    """The names of tags, as the settings have them."""

    service: str
    owner: str
    environment: str


class Belonging:
    """What the settings, tags and stacks say of whose a resource is."""

    def __init__(
        self, resources: Resources, tags: Spelled, stacks: Sequence[Stack], things: Mapping[str, Thing]
    ) -> None:
        self._resources = resources
        self._tags = tags
        self._things = things
        self._stacks = {stack.name: self._of_stack(stack) for stack in stacks}
        running: dict[str, set[str]] = {}
        for thing in things.values():
            what = named(thing.arn)
            if thing.stack and what and what.kind == "service":
                running.setdefault(thing.stack, set()).add(self.owner(thing).service)
        self._alone = {stack: next(iter(names)) for stack, names in running.items() if len(names) == 1}

    def owner(self, thing: Thing) -> Owner:
        """Return whose a thing is. What runs is a service of its own where nothing else is said."""
        what = named(thing.arn)
        names = (thing.arn, *thing.names, *((what.name,) if what else ()))
        if self._resources.knows(*names):
            known = self._resources.known(*names)
            if known:
                return Owner(known, Basis.DECLARED, "the settings say so")
        elif tagged := self._tagged(thing.tags):
            return Owner(tagged, Basis.DECLARED, f"tag {self._tags.service}")
        elif (of_stack := self._stacks.get(thing.stack, "")) and thing.stack:
            return Owner(of_stack, Basis.INFERRED, f"stack {thing.stack}")
        if what and what.kind == "service":
            return Owner(what.name, Basis.OBSERVED, "it is named so")
        return _NOBODY

    def user(self, thing: Thing) -> Owner:
        """Return which service uses what does nothing by itself: its owner, or the one service of its stack."""
        own = self.owner(thing)
        alone = self._alone.get(thing.stack, "")
        return own if own.service or not alone else Owner(alone, Basis.INFERRED, f"stack {thing.stack}")

    def entity(self, arn: str) -> EntityId:
        """Return the entity that an ARN stands for, a service's for what runs; '' for what is no part of one."""
        what = named(arn)
        if what is None:
            return ""
        return (
            f"service:{self.owner(self.thing(arn)).service}" if what.kind == "service" else f"{what.kind}:{what.name}"
        )

    def thing(self, arn: str) -> Thing:
        """Return what is known of a thing; of one that only a policy names, its ARN."""
        return self._things.get(arn) or Thing(arn)

    def service_of_stack(self, stack: str) -> str:
        """Return the service that a stack is of; '' when nothing says so."""
        return self._stacks.get(stack, "")

    def about(self, thing: Thing) -> dict[str, str]:
        """Return what is told of a thing, as attributes of its entity."""
        what, owner = named(thing.arn), self.user(thing) if _is_data(thing) else self.owner(thing)
        facts = {
            "service": owner.service if what and what.kind != "service" else "",
            "environment": _in(thing.tags, self._tags.environment),
            "stack": thing.stack,
            **thing.about,
            "arn": thing.arn,
        }
        return {name: text for name, text in facts.items() if text}

    def team(self, thing: Thing) -> EntityId:
        """Return the entity that owns a thing, as its tag says; '' when none does."""
        told = _in(thing.tags, self._tags.owner).strip()
        return f"{'person' if '@' in told else 'team'}:{told}" if told else ""

    def _tagged(self, tags: Mapping[str, str]) -> str:
        return tags.get(self._tags.service, "") if self._tags.service else ""

    def _of_stack(self, stack: Stack) -> str:
        if self._resources.knows(stack.name):
            return self._resources.known(stack.name)
        return self._tagged(stack.tags)


def _is_data(thing: Thing) -> bool:
    what = named(thing.arn)
    return what is not None and what.kind in DATA


def _in(tags: Mapping[str, str], name: str) -> str:
    """Return a tag's value; teams write the same tag in upper and in lower case."""
    return next((value for key, value in tags.items() if name and key.lower() == name.lower()), "")
