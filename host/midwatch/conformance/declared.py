"""What a server declares of itself: rules that its list of tools keeps or breaks, before anything is called."""

import re
from collections.abc import Iterable, Iterator, Sequence

from mcp import types

from midwatch.conformance.verdicts import Rule, Verdict
from midwatch.mcp_client.trust import says_it_reads, says_it_writes
from midwatch_kit.records import Signal
from midwatch_kit.server import Role

READING = (Role.DISCOVER, Role.SURVEY, Role.DRILL_DOWN, Role.CHECK)

_DESCRIBED = Rule("tools are described", "give each tool a description and an input schema of type object")
_NAMED = Rule("names read as verb_noun", "name tools in lower case, as search_logs, at most 40 characters")
_ANNOTATED = Rule("tools say whether they read", "set readOnlyHint on each tool, and never with destructiveHint")
_ROLES = Rule("roles are declared", "set midwatch/role in each tool's _meta; a host picks tools by role, not by name")
_SIGNAL = Rule("a signal is declared", f"set midwatch/signal in _meta to one of {', '.join(Signal)}")
_CALLED = Rule("what was not called", "")
_NAME = re.compile(r"[a-z]+(_[a-z0-9]+)+")
_LONGEST_NAME = 40


def role_of(tool: types.Tool) -> Role | None:
    """Return the role that a tool declares, if it declares one that there is."""
    declared = (tool.meta or {}).get("midwatch/role")
    return Role(declared) if isinstance(declared, str) and declared in set(Role) else None


def may_be_called(tool: types.Tool) -> bool:
    """Whether the check may call a tool: it declares a reading role, and that it only reads."""
    return role_of(tool) in READING and says_it_reads(tool)


def declared(tools: Sequence[types.Tool]) -> Iterator[Verdict]:
    """Return the verdicts on what is declared."""
    named = ", ".join(tool.name for tool in tools) or "none"
    yield _DESCRIBED.judged([*_undescribed(tools)], f"{len(tools)} tools: {named}")
    yield _NAMED.judged([f"{tool.name} does not" for tool in tools if not _well_named(tool.name)], "all do")
    yield _ANNOTATED.judged([*_unclear(tools)], "all do")
    roles = [role for tool in tools if (role := role_of(tool))]
    yield _ROLES.judged([*_without_roles(tools, roles)], ", ".join(f"{roles.count(r)} {r}" for r in Role if r in roles))
    signals = {str((tool.meta or {}).get("midwatch/signal", "none")) for tool in tools} or {"none"}
    yield _SIGNAL.judged([f"it is {name}" for name in sorted(signals - set(Signal))], ", ".join(sorted(signals)))
    if uncalled := [tool.name for tool in tools if not may_be_called(tool)]:
        yield _CALLED.untried(f"{', '.join(uncalled)}: without a reading role, or not declared read-only")


def _undescribed(tools: Iterable[types.Tool]) -> Iterator[str]:
    if not tools:
        yield "there are no tools"
    for tool in tools:
        if not (tool.description or "").strip():
            yield f"{tool.name} has no description"
        if tool.input_schema.get("type") != "object":
            yield f"{tool.name} has no input schema"


def _well_named(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and len(name) <= _LONGEST_NAME


def _unclear(tools: Iterable[types.Tool]) -> Iterator[str]:
    for tool in tools:
        if not says_it_reads(tool) and not says_it_writes(tool):
            yield f"{tool.name} does not say"
        elif role_of(tool) in READING and says_it_writes(tool):
            yield f"{tool.name} is to {role_of(tool)}, but says that it writes"
        elif role_of(tool) is Role.ACT and tool.annotations and tool.annotations.read_only_hint:
            yield f"{tool.name} is to act, but says that it only reads"


def _without_roles(tools: Iterable[types.Tool], roles: Sequence[Role]) -> Iterator[str]:
    yield from (f"{tool.name} declares none" for tool in tools if role_of(tool) is None)
    yield from (f"no tool is to {role}" for role in READING if role not in roles)
