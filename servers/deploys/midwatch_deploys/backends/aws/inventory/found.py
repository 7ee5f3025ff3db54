"""What the readers of an account find, in plain values, each by its ARN; and how several words of one thing unite."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Thing:
    """One resource: what it is tagged with, which stack made it, and how it reaches and is reached.

    `role` is the ARN of the role or the instance profile that it acts as, `groups` its security groups, `addresses`
    its private IP addresses, `registers` the target groups that it registers with. '' or empty where nothing was said.
    """

    arn: str
    names: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    stack: str = ""
    role: str = ""
    groups: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    registers: frozenset[str] = frozenset()
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack of CloudFormation, and how many resources of which type it has."""

    name: str
    tags: Mapping[str, str]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Route:
    """A way of a load balancer to a target group; `targets` are ids of instances, addresses or ARNs."""

    balancer: str
    listener: str
    group: str
    targets: tuple[str, ...]
    healthy: int | None = None
    """How many of the targets are well; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Port:
    """A span of ports of a protocol; all of them by default."""

    protocol: str = "-1"
    first: int = 0
    last: int = 65_535

    def overlaps(self, other: "Port") -> bool:
        """Whether a packet may fit both."""
        same = self.protocol == other.protocol or "-1" in (self.protocol, other.protocol)
        return same and self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        if self.protocol == "-1":
            return "any port"
        return (
            f"{self.protocol} {self.first}" if self.first == self.last else f"{self.protocol} {self.first}-{self.last}"
        )


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """Which groups a group lets in by which port (`sources`), and out; by `anywhere` it lets out to addresses."""

    id: str
    name: str
    sources: Sequence[tuple[Port, str]]
    leads_to: Sequence[tuple[Port, str]]
    anywhere: Sequence[Port]

    def lets_out(self, port: Port, target: str) -> bool:
        """Whether what is in this group may reach another group on some of these ports."""
        led = any(to == target and port.overlaps(own) for own, to in self.leads_to)
        return led or any(port.overlaps(own) for own in self.anywhere)


@dataclass(frozen=True, slots=True)
class Consumer:
    """A function that is given what comes to a queue or a table, by their ARNs."""

    function: str
    source: str


def united(things: Iterable[Thing]) -> dict[str, Thing]:
    """Return each thing once, by its ARN, with what all said of it; the first word counts."""
    found: dict[str, Thing] = {}
    for one in things:
        known = found.get(one.arn)
        found[one.arn] = one if known is None else _both(known, one)
    return found


def _both(one: Thing, other: Thing) -> Thing:
    return replace(
        one,
        names=tuple(dict.fromkeys([*one.names, *other.names])),
        tags={**other.tags, **one.tags},
        stack=one.stack or other.stack,
        role=one.role or other.role,
        groups=one.groups | other.groups,
        addresses=one.addresses | other.addresses,
        registers=one.registers | other.registers,
        about={**other.about, **one.about},
    )
