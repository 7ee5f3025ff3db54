"""How the resources of an account are tied: what stacks, tags, routes, security groups and policies add up to. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from midwatch_deploys.backends.aws.inventory.arns import DATA, Named, named, service_in
from midwatch_deploys.backends.aws.inventory.belonging import Belonging
from midwatch_deploys.backends.aws.inventory.found import Consumer, Port, Route, SecurityGroup, Thing
from midwatch_deploys.backends.aws.inventory.policy import Role, is_literal, is_of, specific
from midwatch_deploys.inventory import Tie
from midwatch_kit import Basis, EntityId

_MOST_PAIRS: Final = 25
"""Pairs that one rule of a security group may tie: a group that lets half the account in tells nothing of who calls."""
_MOST_FITTING: Final = 10
"""Resources that one pattern of a policy may tie a role to."""
_FOR_PEOPLE: Final = frozenset({22, 3389})
"""Ports by which people get onto machines."""
_REACHES: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "sqs": {"sends_to": ["sqs:SendMessage"], "receives_from": ["sqs:ReceiveMessage"]},
    "sns": {"sends_to": ["sns:Publish"]},
    "kinesis": {"sends_to": ["kinesis:PutRecord", "kinesis:PutRecords"], "receives_from": ["kinesis:GetRecords"]},
    "events": {"sends_to": ["events:PutEvents"]},
    "dynamodb": {
        "reads": ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem"],
        "writes": ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"],
    },
    "s3": {"reads": ["s3:GetObject"], "writes": ["s3:PutObject", "s3:DeleteObject"]},
    "lambda": {"calls": ["lambda:InvokeFunction"]},
    "states": {"calls": ["states:StartExecution", "states:StartSyncExecution"]},
}
"""By AWS service, what a permission makes of a role and a resource."""


@dataclass(frozen=True, slots=True)
class Made:
    """The ties that something adds up to, and in words what was left out of them."""

    ties: Sequence[Tie]
    left_out: Sequence[str] = ()


def of_owners(things: Mapping[str, Thing], belonging: Belonging) -> Made:
    """Return which service uses or runs on what, which stack made it, and which team owns it."""
    return Made([tie for thing in things.values() for tie in _of_thing(thing, belonging)])


def of_routes(routes: Sequence[Route], things: Mapping[str, Thing], belonging: Belonging) -> Made:
    """Return what load balancers route to: services that register there, or whose the targets are, else the targets."""
    by_id = {what.name: thing for thing in things.values() if (what := named(thing.arn)) and what.kind == "instance"}
    by_address = {address: thing for thing in things.values() for address in thing.addresses}
    registered: dict[str, list[Thing]] = {}
    for thing in things.values():
        for group in thing.registers:
            registered.setdefault(group, []).append(thing)
    ties = []
    for route in routes:
        behind = registered.get(route.group) or [
            by_id.get(target) or by_address.get(target) or Thing(target) for target in route.targets
        ]
        well = "" if route.healthy is None else f", {route.healthy} of {len(route.targets)} targets well"
        for target in dict.fromkeys(_served(thing, belonging) for thing in behind):
            if target:
                because = f"listener {route.listener}{well}"
                ties.append(Tie(belonging.entity(route.balancer), "routes_to", target, Basis.DECLARED, because))
    return Made(ties)


def of_groups(groups: Sequence[SecurityGroup], things: Mapping[str, Thing], belonging: Belonging) -> Made:
    """Return who may reach whom, as groups that name each other say; addresses, and a group's own, say nothing."""
    by_id = {group.id: group for group in groups}
    members: dict[str, list[Thing]] = {}
    for thing in things.values():
        for group_id in thing.groups:
            members.setdefault(group_id, []).append(thing)
    ties, left_out = [], []
    for group in groups:
        for port, source_id in group.sources:
            source = by_id.get(source_id)
            if source is None or source_id == group.id or _is_for_people(port) or not source.lets_out(port, group.id):
                continue
            callers = _each_once(members.get(source_id, []), lambda thing: _caller(thing, belonging))
            called = _each_once(members.get(group.id, []), lambda thing: _served(thing, belonging))
            if len(callers) * len(called) > _MOST_PAIRS:
                many = f"{len(callers)} in to {len(called)} on {port}"
                left_out.append(f"security group {group.id} lets {many}: too many to say who calls whom")
                continue
            because = f"security group {group.name or group.id} lets {source.name or source_id} in on {port}"
            for caller, target in product(callers, called):
                kind = "uses" if target.partition(":")[0] in DATA else "calls"
                ties.append(Tie(caller, kind, target, Basis.INFERRED, because))
    return Made(ties, left_out)


def of_consumers(consumers: Sequence[Consumer], belonging: Belonging) -> Made:
    """Return which functions are given what comes to a queue, or what changes in a table."""
    ties = []
    for one in consumers:
        function, source = belonging.entity(one.function), named(one.source.partition("/stream/")[0])
        if function and source:
            kind = "receives_from" if source.kind == "queue" else "reads"
            because = "event source of the function"
            ties.append(Tie(function, kind, f"{source.kind}:{source.name}", Basis.DECLARED, because))
    return Made(ties)


def of_roles(roles: Sequence[Role], things: Mapping[str, Thing], belonging: Belonging) -> Made:
    """Return what services may reach as the roles that they act as; a permission for everything ties to nothing."""
    worn = {arn: role for role in roles for arn in (role.arn, *role.profiles)}
    wearers: dict[str, set[EntityId]] = {}
    for thing in things.values():
        role = worn.get(thing.role)
        caller = _caller(thing, belonging) if role else ""
        if role and caller:
            wearers.setdefault(role.arn, set()).add(caller)
    by_service: dict[str, list[str]] = {}
    for arn in things:
        by_service.setdefault(service_in(arn), []).append(arn)
    ties: list[Tie] = []
    too_wide = 0
    for arn, callers in wearers.items():
        reached, wide = _reached(worn[arn], by_service)
        too_wide += wide
        for kind, action, target in reached:
            entity = belonging.entity(target)
            because = f"role {worn[arn].name} may {action}"
            ties += [Tie(caller, kind, entity, Basis.INFERRED, because) for caller in sorted(callers) if entity]
    told = f"patterns in policies that fit more than {_MOST_FITTING} resources, and so tie nobody to them: {too_wide}"
    return Made(ties, [told] if too_wide else [])


def _of_thing(thing: Thing, belonging: Belonging) -> Iterator[Tie]:
    what, entity = named(thing.arn), belonging.entity(thing.arn)
    if what is None:
        return
    if what.kind in DATA:
        user = belonging.user(thing)
        if user.service:
            yield Tie(f"service:{user.service}", "uses", entity, user.basis, user.because)
    elif what.kind == "instance" and (owner := belonging.owner(thing)).service:
        yield Tie(f"service:{owner.service}", "runs_on", entity, owner.basis, owner.because)
    if thing.stack:
        yield Tie(entity, "deployed_by", f"stack:{thing.stack}", Basis.DECLARED, "it is a resource of the stack")
    if team := belonging.team(thing):
        yield Tie(entity, "owned_by", team, Basis.DECLARED, "its tag says so")


def _served(thing: Thing, belonging: Belonging) -> EntityId:
    """Return what is called when a thing is: the service that runs on an instance, else the thing; '' for no part."""
    service = _on_instance(thing, belonging)
    return service or belonging.entity(thing.arn)


def _caller(thing: Thing, belonging: Belonging) -> EntityId:
    """Return the service that calls when a thing does; '' for what does not call, as a database or a load balancer."""
    entity = _on_instance(thing, belonging) or belonging.entity(thing.arn)
    return entity if entity.startswith("service:") else ""


def _on_instance(thing: Thing, belonging: Belonging) -> EntityId:
    what: Named | None = named(thing.arn)
    owner = belonging.owner(thing).service if what and what.kind == "instance" else ""
    return f"service:{owner}" if owner else ""


def _each_once(things: Sequence[Thing], entity_of: Callable[[Thing], EntityId]) -> list[EntityId]:
    return [entity for entity in dict.fromkeys(map(entity_of, things)) if entity]


def _is_for_people(port: Port) -> bool:
    return port.protocol.startswith("icmp") or (port.first == port.last and port.first in _FOR_PEOPLE)


def _reached(role: Role, by_service: Mapping[str, Sequence[str]]) -> tuple[list[tuple[str, str, str]], int]:
    """Return what a role may reach, as kind, action and ARN, and how many of its patterns fit too much to tell."""
    found: dict[tuple[str, str], str] = {}
    too_wide = 0
    for statement in role.statements:
        if not statement.allows:
            continue
        for pattern in specific(statement.resources):
            service = service_in(pattern)
            fitting = _fitting(pattern, by_service.get(service, ()))
            if len(fitting) > _MOST_FITTING:
                too_wide += 1
                continue
            for arn, (kind, actions) in product(fitting, _REACHES.get(service, {}).items()):
                action = next((a for a in actions if statement.is_about(a) and role.may(a, arn)), "")
                if action:
                    found.setdefault((kind, arn), action)
    return [(kind, action, arn) for (kind, arn), action in found.items()], too_wide


def _fitting(pattern: str, known: Sequence[str]) -> list[str]:
    """Return the resources that a pattern fits: those that are known, and the one that it names outright."""
    fitting = [arn for arn in known if is_of(pattern, arn)]
    if fitting or not is_literal(pattern):
        return fitting
    named_outright = pattern.partition("/")[0] if service_in(pattern) == "s3" else pattern
    return [named_outright] if is_of(pattern, named_outright) else []
