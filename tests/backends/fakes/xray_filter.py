"""As much of X-Ray's filter expressions as the trace tools write; anything else is refused as AWS refuses it.

A keyword is about the trace as its first caller saw it, within `service() { }` about one service of it; written after
the page on filter expressions in the X-Ray developer guide.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r'\s*(?P<token>"(?:[^"\\]|\\.)*"|annotation\[[^\]]+\]|>=|[(){}=!]|-?\d+(?:\.\d+)?(?:e-?\d+)?|[\w.]+)\s*'
)
_FLAGS: Final = {"fault", "error", "throttle"}


class Refused(Exception):
    """What X-Ray answers with InvalidRequestException."""


@dataclass
class Node:
    """One service of a trace, or the trace as a whole: what filters know of it."""

    name: str = ""
    flags: set[str] = field(default_factory=set)
    duration: float = 0.0
    instances: set[str] = field(default_factory=set)
    annotations: dict[str, str] = field(default_factory=dict)
    services: Sequence["Node"] = ()


Test = Callable[[Node], bool]


def read(expression: str) -> Test:
    """What an expression asks of a trace; raises `Refused`."""
    if not expression:
        return lambda _: True
    test, rest = _any_of(_tokens(expression))
    if rest:
        raise Refused(f"Invalid filter expression: unexpected {rest[0]}")
    return test


def _tokens(expression: str) -> list[str]:
    tokens, at = [], 0
    while at < len(expression):
        found = _TOKEN.match(expression, at)
        if not found:
            raise Refused(f"Invalid filter expression: unexpected character at {at}")
        tokens.append(found["token"])
        at = found.end()
    return tokens


def _any_of(tokens: list[str]) -> tuple[Test, list[str]]:
    test, tokens = _all_of(tokens)
    tests = [test]
    while tokens[:1] == ["OR"]:
        test, tokens = _all_of(tokens[1:])
        tests.append(test)
    return (lambda node: any(one(node) for one in tests)), tokens


def _all_of(tokens: list[str]) -> tuple[Test, list[str]]:
    test, tokens = _one(tokens)
    tests = [test]
    while tokens[:1] == ["AND"]:
        test, tokens = _one(tokens[1:])
        tests.append(test)
    return (lambda node: all(one(node) for one in tests)), tokens


def _one(tokens: list[str]) -> tuple[Test, list[str]]:  # noqa: PLR0911 - one for each kind of condition
    match tokens:
        case ["(", *rest]:
            return _closed(rest, ")")
        case ["service", "(", ")", "{", *rest]:
            test, rest = _closed(rest, "}")
            return (lambda node: any(test(one) for one in node.services)), rest
        case ["service", "(", name, ")", "{", *rest] if name.startswith('"'):
            test, rest = _closed(rest, "}")
            only = json.loads(name)
            return (lambda node: any(one.name == only and test(one) for one in node.services)), rest
        case ["service", "(", name, ")", *rest] if name.startswith('"'):
            wanted = json.loads(name)
            return (lambda node: any(one.name == wanted for one in node.services)), rest
        case [flag, "=", "true" | "false" as told, *rest] if flag in _FLAGS:
            return (lambda node: (flag in node.flags) is (told == "true")), rest
        case ["duration", ">=", number, *rest]:
            least = float(number)
            return (lambda node: node.duration >= least), rest
        case ["instance.id", "=", name, *rest] if name.startswith('"'):
            instance = json.loads(name)
            return (lambda node: instance in node.instances), rest
        case [key, "=", told, *rest] if key.startswith("annotation"):
            value, plain = told.startswith('"') and json.loads(told), re.sub(r"^annotation[.\[]|\]$", "", key)
            return (lambda node: node.annotations.get(plain) == value), rest
        case _:
            raise Refused(f"Invalid filter expression near: {' '.join(tokens[:3])}")


def _closed(tokens: list[str], by: str) -> tuple[Test, list[str]]:
    test, rest = _any_of(tokens)
    if rest[:1] != [by]:
        raise Refused(f"Invalid filter expression: expecting {by}")
    return test, rest[1:]
