"""The inventory of one region of an AWS account: all readers at once, and what their words add up to. It only reads."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from midwatch_deploys.backends.aws.account import Account
from midwatch_deploys.backends.aws.inventory import ties
from midwatch_deploys.backends.aws.inventory.belonging import Belonging, Spelled
from midwatch_deploys.backends.aws.inventory.compute import (
    DatabaseReader,
    EcsReader,
    FunctionReader,
    InstanceReader,
)
from midwatch_deploys.backends.aws.inventory.found import Consumer, Route, SecurityGroup, Stack, Thing, united
from midwatch_deploys.backends.aws.inventory.network import BalancerReader, SecurityGroupReader
from midwatch_deploys.backends.aws.inventory.policy import Role
from midwatch_deploys.backends.aws.inventory.roles import RoleReader
from midwatch_deploys.backends.aws.inventory.stacks import StackReader, TagReader
from midwatch_deploys.inventory import Inventory, Resource
from midwatch_deploys.inventory import united as each_once
from midwatch_deploys.resources import Resources
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown, Check
from midwatch_kit.parallel import ask_each

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_OF_THE_TIME: Final = 0.7
"""How much of a backend's time the readers have; what they found is to be told in the rest, whoever is missing."""
_DO: Final = "see the statement AwsInventory in docs/deploys-policy.json"


@dataclass(frozen=True, slots=True)
class _Part:
    """What one reader found."""

    things: Sequence[Thing] = ()
    gaps: Sequence[str] = ()
    stacks: Sequence[Stack] = ()
    consumers: Sequence[Consumer] = ()
    routes: Sequence[Route] = ()
    groups: Sequence[SecurityGroup] = ()
    roles: Sequence[Role] = ()

    @property
    def count(self) -> int:
        """How many of what the reader is for."""
        return len(self.stacks or self.groups or self.roles or self.things)


@dataclass(frozen=True, slots=True)
class _Whole:
    """What all readers found, and what they could not."""

    parts: Mapping[str, _Part]
    gaps: Mapping[str, Sequence[str]] = field(default_factory=dict)


class AwsInventory:
    """What there is in a region, and how it is tied."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._seconds = settings.backend_seconds * _OF_THE_TIME
        each = settings.model_copy(update={"backend_seconds": self._seconds})
        self._resources = Resources(settings.service_resources)
        self._tags = Spelled(settings.service_tag, settings.aws_owner_tag, settings.aws_environment_tag)
        self._readers = _readers(each)

    def inventory(self) -> Inventory:
        """Return what there is now, and how it is tied; raises `BackendDown` when nothing can be read."""
        whole = self._read()
        parts = whole.parts.values()
        things = united(thing for part in parts for thing in part.things)
        stacks = [stack for part in parts for stack in part.stacks]
        belonging = Belonging(self._resources, self._tags, stacks, things)
        made = [
            ties.of_owners(things, belonging),
            ties.of_routes([one for part in parts for one in part.routes], things, belonging),
            ties.of_groups([one for part in parts for one in part.groups], things, belonging),
            ties.of_consumers([one for part in parts for one in part.consumers], belonging),
            ties.of_roles([one for part in parts for one in part.roles], things, belonging),
        ]
        left_out = [f"inventory: {words}" for one in made for words in one.left_out]
        gaps = [f"inventory of {name}: {gap}" for name, own in whole.gaps.items() for gap in own]
        return Inventory(
            _told(things, stacks, belonging),
            each_once(tie for one in made for tie in one.ties),
            datetime.now(UTC),
            f"AWS inventory: {', '.join(whole.parts)}",
            [*gaps, *left_out],
        )

    def checks(self) -> Sequence[Check]:
        """Look at what may be read: each reader names the permission that it misses."""
        whole = self._read(must=False)
        found = []
        for name in self._readers:
            gaps = whole.gaps.get(name, ())
            detail = "; ".join(gaps) if gaps else f"{whole.parts[name].count:,} can be read"
            found.append(Check(name, ok=not gaps, detail=detail, do=_DO if gaps else ""))
        return found

    def _read(self, *, must: bool = True) -> _Whole:
        asked = ask_each(self._readers, lambda _, reader: _quietly(reader), self._seconds)
        gaps: dict[str, Sequence[str]] = {name: part.gaps for name, part in asked.said.items() if part.gaps}
        gaps |= {name: [str(error)] for name, error in asked.silent.items()}
        if must and not asked.said:
            words = dict.fromkeys(str(error) for error in asked.silent.values())
            raise BackendDown(f"nothing of the AWS inventory can be read: {'; '.join(words)}")
        return _Whole(asked.said, {name: gaps[name] for name in self._readers if name in gaps})


def _readers(settings: DeploysSettings) -> dict[str, Callable[[], _Part]]:
    """Return what each reader finds, by what it is."""
    ec2: Account[EC2Client] = Account(settings, lambda s, o: s.client("ec2", **o))
    stacks, tags, ecs = StackReader(settings), TagReader(settings), EcsReader(settings)
    functions, databases, roles = FunctionReader(settings), DatabaseReader(settings), RoleReader(settings)
    instances, groups, balancers = InstanceReader(ec2), SecurityGroupReader(ec2), BalancerReader(settings)

    def of_stacks() -> _Part:
        found, things, gaps = stacks.read()
        return _Part(things, gaps, stacks=found)

    def of_functions() -> _Part:
        things, consumers, gaps = functions.read()
        return _Part(things, gaps, consumers=consumers)

    def of_balancers() -> _Part:
        things, routes, gaps = balancers.read()
        return _Part(things, gaps, routes=routes)

    def of_groups() -> _Part:
        found, gaps = groups.read()
        return _Part(gaps=gaps, groups=found)

    def of_roles() -> _Part:
        found, gaps = roles.read()
        return _Part(gaps=gaps, roles=found)

    return {
        "ECS services": lambda: _Part(*ecs.read()),
        "functions": of_functions,
        "instances": lambda: _Part(*instances.read()),
        "databases": lambda: _Part(*databases.read()),
        "load balancers": of_balancers,
        "security groups": of_groups,
        "roles": of_roles,
        "tags": lambda: _Part(*tags.read()),
        "stacks": of_stacks,
    }


def _quietly(read: Callable[[], _Part]) -> _Part:
    try:
        return read()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BackendDown(f"the answer is in a shape that is not one of AWS ({type(error).__name__})") from None


def _told(things: Mapping[str, Thing], stacks: Sequence[Stack], belonging: Belonging) -> list[Resource]:
    """Return things and stacks as entities; several things of one service are one."""
    found: dict[str, dict[str, str]] = {}
    for thing in things.values():
        entity = belonging.entity(thing.arn)
        found[entity] = {**belonging.about(thing), **found.get(entity, {})}
    for stack in stacks:
        kinds = Counter(stack.counts).most_common()
        facts = {
            "service": belonging.service_of_stack(stack.name),
            "resources": ", ".join(f"{count} {kind}" for kind, count in kinds),
        }
        found[f"stack:{stack.name}"] = {name: text for name, text in facts.items() if text}
    return [Resource(id_, found[id_]) for id_ in sorted(found) if id_]
