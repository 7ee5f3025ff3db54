"""Load balancers with what they route to, and security groups with whom they let in. They only describe."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from midwatch_deploys.backends.aws.account import Account, read
from midwatch_deploys.backends.aws.inventory.found import Port, Route, SecurityGroup, Thing
from midwatch_deploys.backends.parts import each_at_once
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import KitError
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import IpPermissionOutputTypeDef, SecurityGroupTypeDef
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import ListenerTypeDef, LoadBalancerTypeDef, RuleTypeDef

_PLACE: Final = "Elastic Load Balancing"
_MOST_BALANCERS: Final = 100
_MOST_LISTENERS: Final = 50
_MOST_RULES: Final = 100
_MOST_GROUPS: Final = 200
_MOST_SECURITY_GROUPS: Final = 1_000
_WELL: Final = frozenset({"healthy", "unavailable"})
"""States of a target that gets requests; `unavailable` is one whose health nobody looks at."""


class BalancerReader:
    """The application and network load balancers of a region."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[ElasticLoadBalancingv2Client] = Account(settings, lambda s, o: s.client("elbv2", **o))

    def read(self) -> tuple[Sequence[Thing], Sequence[Route], list[str]]:
        """Return load balancers, where they route to, and gaps; raises `BackendDown`."""
        with in_words(_PLACE, "elasticloadbalancing:DescribeLoadBalancers"):
            pages = self._aws.client.get_paginator("describe_load_balancers").paginate()
            found, cut = read(pages, lambda page: page["LoadBalancers"], _MOST_BALANCERS, self._aws.until())
        gaps = [f"only {len(found)} load balancers were listed"] if cut else []
        told = each_at_once(self._listeners, found)
        forwarded = [one for some, _ in told for one in some]
        gaps += dict.fromkeys(gap for _, gap in told if gap)
        groups = list(dict.fromkeys(group for _, _, group in forwarded))
        if len(groups) > _MOST_GROUPS:
            gaps.append(f"{len(groups) - _MOST_GROUPS} more target groups were left out")
        targets = each_at_once(self._targets, groups[:_MOST_GROUPS])
        gaps += dict.fromkeys(gap for _, _, gap in targets if gap)
        known = dict(zip(groups, targets, strict=False))
        routes = [
            Route(balancer, listener, group, known[group][0], known[group][1])
            for balancer, listener, group in forwarded
            if group in known
        ]
        return [_of_balancer(each) for each in found], routes, gaps

    def _listeners(self, balancer: "LoadBalancerTypeDef") -> tuple[list[tuple[str, str, str]], str]:
        """Return what a load balancer forwards: itself, how it is asked, and to which target group; and a gap."""
        arn, name = balancer["LoadBalancerArn"], balancer["LoadBalancerName"]
        found: list[tuple[str, str, str]] = []
        try:
            with in_words(_PLACE, "elasticloadbalancing:DescribeListeners"):
                pages = self._aws.client.get_paginator("describe_listeners").paginate(LoadBalancerArn=arn)
                listeners, cut = read(pages, lambda page: page["Listeners"], _MOST_LISTENERS, self._aws.until())
            for listener in listeners:
                found += [(arn, _place(listener), group) for group in _groups_of(listener.get("DefaultActions", []))]
                if balancer.get("Type") == "application":  # no other kind has rules
                    rules, more = self._rules(listener)
                    cut = cut or more
                    found += [(arn, _place(listener, rule), group) for rule, group in rules]
        except KitError as error:
            return found, f"listeners of {name}: {error}"
        return found, f"{name}: not all listeners and rules were read" if cut else ""

    def _rules(self, listener: "ListenerTypeDef") -> "tuple[list[tuple[RuleTypeDef, str]], bool]":
        """Return the rules of a listener, each with a target group, and whether there may be more."""
        with in_words(_PLACE, "elasticloadbalancing:DescribeRules"):
            pages = self._aws.client.get_paginator("describe_rules").paginate(ListenerArn=listener["ListenerArn"])
            rules, cut = read(pages, lambda page: page["Rules"], _MOST_RULES, self._aws.until())
        told = [rule for rule in rules if not rule.get("IsDefault")]
        return [(rule, group) for rule in told for group in _groups_of(rule.get("Actions", []))], cut

    def _targets(self, group: str) -> tuple[tuple[str, ...], int | None, str]:
        try:
            with in_words(_PLACE, "elasticloadbalancing:DescribeTargetHealth"):
                told = self._aws.client.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        except KitError as error:
            return (), None, f"targets: {error}"
        well = sum(each.get("TargetHealth", {}).get("State") in _WELL for each in told)
        return tuple(dict.fromkeys(each["Target"]["Id"] for each in told if "Target" in each)), well, ""


class SecurityGroupReader:
    """The security groups of a region."""

    def __init__(self, aws: "Account[EC2Client]") -> None:
        self._aws = aws

    def read(self) -> tuple[Sequence[SecurityGroup], list[str]]:
        """Return security groups, and gaps; raises `BackendDown`."""
        with in_words("EC2", "ec2:DescribeSecurityGroups"):
            pages = self._aws.client.get_paginator("describe_security_groups").paginate(
                PaginationConfig={"PageSize": _MOST_SECURITY_GROUPS}
            )
            found, cut = read(pages, lambda page: page["SecurityGroups"], _MOST_SECURITY_GROUPS, self._aws.until())
        gaps = [f"only {len(found):,} security groups were listed"] if cut else []
        return [_of_group(each) for each in found], gaps


def _of_balancer(balancer: "LoadBalancerTypeDef") -> Thing:
    about = {"host": balancer.get("DNSName", ""), "scheme": balancer.get("Scheme", "")}
    return Thing(
        balancer["LoadBalancerArn"],
        groups=frozenset(balancer.get("SecurityGroups", [])),
        about={name: text for name, text in about.items() if text},
    )


def _groups_of(actions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the target groups that actions forward to; one with the weight 0 gets nothing."""
    found: list[str] = []
    for action in actions:
        if action.get("Type") == "forward":
            weighed = action.get("ForwardConfig", {}).get("TargetGroups", [])
            plain = [] if weighed else [{"TargetGroupArn": action.get("TargetGroupArn")}]
            found += [str(each["TargetGroupArn"]) for each in [*weighed, *plain] if each.get("Weight", 1) > 0]
    return found


def _place(listener: "ListenerTypeDef", rule: "RuleTypeDef | None" = None) -> str:
    """Return how a listener is asked, and what a request has to be like for a rule: its hosts and its paths."""
    wanted: list[str] = []
    for each in rule.get("Conditions", []) if rule else []:
        for part in ("HostHeaderConfig", "PathPatternConfig"):
            config: Any = each.get(part, {})
            wanted += config.get("Values", [])
    port = str(listener["Port"]) if "Port" in listener else ""
    return " ".join(filter(None, [listener.get("Protocol", ""), port, *dict.fromkeys(wanted)]))


def _of_group(group: "SecurityGroupTypeDef") -> SecurityGroup:
    outward = group.get("IpPermissionsEgress", [])
    return SecurityGroup(
        group["GroupId"],
        group.get("GroupName", ""),
        [*_pairs(group.get("IpPermissions", []))],
        [*_pairs(outward)],
        [_port(each) for each in outward if any(each.get(k) for k in ("IpRanges", "Ipv6Ranges", "PrefixListIds"))],
    )


def _pairs(permissions: "Sequence[IpPermissionOutputTypeDef]") -> Iterator[tuple[Port, str]]:
    for each in permissions:
        for pair in each.get("UserIdGroupPairs", []):
            if pair.get("GroupId"):
                yield _port(each), pair["GroupId"]


def _port(permission: "IpPermissionOutputTypeDef") -> Port:
    protocol = permission.get("IpProtocol", "-1")
    return Port(protocol, permission.get("FromPort", 0), permission.get("ToPort", 65_535))
