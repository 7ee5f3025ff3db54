"""What policies of IAM let a role do to which resource. Pure: it asks nobody.

This is less than AWS decides by: conditions are taken as met where something is allowed, and as not met where it is
denied; policies of resources, of organizations and of sessions are not looked at. So what comes out may be, and a
call that was seen counts more.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from midwatch_deploys.backends.aws.inventory.arns import service_in

_VARIABLE: Final = re.compile(r"\$\{[^}]*\}")
_PREFIX: Final = re.compile(r"(?:table|stream|event-bus)/|(?:function|stateMachine):")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: `but` are the actions or resources that it is not about, where it is written that way."""

    allows: bool
    actions: tuple[str, ...]
    but_actions: tuple[str, ...]
    resources: tuple[str, ...]
    but_resources: tuple[str, ...]
    conditional: bool

    def is_about(self, action: str) -> bool:
        """Return whether it is about an action, as `sqs:SendMessage`; upper and lower case are the same there."""
        if self.but_actions:
            return not any(fits(each.lower(), action.lower()) for each in self.but_actions)
        return any(fits(each.lower(), action.lower()) for each in self.actions)

    def covers(self, arn: str, *, wholly: bool) -> bool:
        """Return whether it is about a resource, or about a part of it unless `wholly`."""
        if self.but_resources:
            return not any(is_of(each, arn, wholly=False) for each in self.but_resources)
        return any(is_of(each, arn, wholly=wholly) for each in self.resources)


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its statements, those of its permissions boundary (None without one), and who wears it as a profile."""

    arn: str
    name: str
    statements: Sequence[Statement]
    boundary: Sequence[Statement] | None
    profiles: frozenset[str]

    def may(self, action: str, arn: str) -> bool:
        """Return whether what some statement allows is neither denied nor beyond the boundary."""
        if _denied(self.statements, action, arn):
            return False
        if self.boundary is None:
            return True
        allowed = any(s.allows and s.is_about(action) and s.covers(arn, wholly=False) for s in self.boundary)
        return allowed and not _denied(self.boundary, action, arn)


def statements_of(document: Any) -> list[Statement]:
    """Return the statements of a policy's document; none of one that is no such document."""
    told = document.get("Statement", []) if isinstance(document, Mapping) else []
    listed = told if isinstance(told, list) else [told]
    return [
        Statement(
            each.get("Effect") == "Allow",
            _texts(each.get("Action")),
            _texts(each.get("NotAction")),
            _texts(each.get("Resource")),
            _texts(each.get("NotResource")),
            bool(each.get("Condition")),
        )
        for each in listed
        if isinstance(each, Mapping)
    ]


def specific(patterns: Iterable[str]) -> list[str]:
    """Return the patterns of ARNs that name something; one for everything of a kind ties nobody to anything."""
    return [each for each in patterns if _names_something(each)]


def is_literal(pattern: str) -> bool:
    """Return whether a pattern is the ARN of one thing; objects of a bucket are that bucket."""
    bucket = pattern.partition("/")[0] if service_in(pattern) == "s3" else pattern
    return not any(sign in bucket for sign in "*?")


def is_of(pattern: str, arn: str, *, wholly: bool = False) -> bool:
    """Return whether a pattern fits a resource or, unless `wholly`, a part of it: a bucket's objects, an alias."""
    if pattern == "*":
        return True
    if service_in(arn) == "s3":
        bucket, slash, objects = pattern.partition("/")  # without a slash it is about the bucket, not about its objects
        return fits(bucket, arn) and (bucket.endswith("*") or (bool(slash) and (objects == "*" or not wholly)))
    if fits(pattern, arn):
        return True
    whole = re.sub(r":(?:\*|[\w$-]+)$", "", pattern) if service_in(arn) == "lambda" else pattern
    return not wholly and pattern.count(":") > arn.count(":") and fits(whole, arn)


def fits(pattern: str, text: str) -> bool:
    """Return whether a text fits a pattern of IAM: `*` is anything, `?` one character."""
    return _compiled(pattern).fullmatch(text) is not None


def _denied(statements: Sequence[Statement], action: str, arn: str) -> bool:
    return any(
        not s.allows and not s.conditional and s.is_about(action) and s.covers(arn, wholly=True) for s in statements
    )


def _names_something(pattern: str) -> bool:
    parts = pattern.split(":", 5)
    if len(parts) < 6 or "*" in parts[2] or parts[0] != "arn":
        return False
    name = _PREFIX.sub("", parts[5], count=1).partition("/")[0]
    return bool(re.search(r"[\w]", name))


def _texts(told: Any) -> tuple[str, ...]:
    listed = told if isinstance(told, list) else [told]
    return tuple(_VARIABLE.sub("*", each) for each in listed if isinstance(each, str))


@lru_cache(maxsize=4_096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
