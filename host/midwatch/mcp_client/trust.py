"""What a tool may be used for: decided by the people who set midwatch up, never by its server's word alone.

A server of the suite is believed in what it declares. Of any other server only those tools are used that the settings
name: `allow` makes eyes, `hands` leaves a tool to the gate. A name may be pinned to the definition that was looked at
(`survey_ponds@0123456789abcdef`). This module decides; it calls nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mcp import types

from midwatch.settings import ServerSpec
from midwatch_kit.evidence import canonical, evidence_id

_PIN_DIGITS = 16


class Use(StrEnum):
    """What a tool may be used for."""

    EYES = "eyes"
    HANDS = "hands"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Standing:
    """One tool, what it may be used for, why it may not be used, and the pin of its definition as it is now.

    `named` says that the settings name it; a name that the server doesn't offer has no pin.
    """

    server: str
    tool: str
    use: Use
    why: str
    pin: str
    named: bool


def pin_of(tool: types.Tool) -> str:
    """Return the first digits of the hash of what a tool says of itself: name, words, schemas, annotations, role."""
    said = tool.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta", "icons"})
    ours = {name: value for name, value in (tool.meta or {}).items() if name.startswith("midwatch/")}
    return evidence_id(canonical({**said, "_meta": ours}))[:_PIN_DIGITS]


def use_of(tool: types.Tool, spec: ServerSpec) -> tuple[Use, str]:
    """Return what a tool may be used for and, when it may not be used, why."""
    if spec.suite:
        return (Use.EYES if says_it_reads(tool) else Use.HANDS), ""
    for use, entries in ((Use.EYES, spec.allow), (Use.HANDS, spec.hands)):
        if (pin := _named(tool.name, entries)) is not None:
            return _allowed(tool, use, pin)
    return Use.NOTHING, f"{tool.name} is not allowed by the settings"


def says_it_reads(tool: types.Tool) -> bool:
    """Whether a tool declares that it only reads, and declares nothing else."""
    return bool(tool.annotations and tool.annotations.read_only_hint) and not says_it_writes(tool)


def says_it_writes(tool: types.Tool) -> bool:
    """Whether a tool itself says that it changes something; one that says nothing does not say so."""
    meta, hints = tool.meta or {}, tool.annotations
    declared = bool(hints and (hints.read_only_hint is False or hints.destructive_hint))
    return declared or meta.get("midwatch/role") == "act"


def standings(server: str, tools: Iterable[types.Tool], spec: ServerSpec) -> list[Standing]:
    """Return how every tool of a server stands, and every name in the settings that the server does not offer."""
    offered = {tool.name: tool for tool in tools}
    named = {entry.partition("@")[0] for entry in (*spec.allow, *spec.hands)}
    found = [
        Standing(server, name, *use_of(tool, spec), pin_of(tool), name in named)
        for name, tool in sorted(offered.items())
    ]
    absent = [
        Standing(server, name, Use.NOTHING, f"{server} offers no tool {name}", "", named=True)
        for name in sorted(named - offered.keys())
    ]
    return found + absent


def _named(tool: str, entries: Sequence[str]) -> str | None:
    """Return the pin with which a tool is named, empty without one; None when it is not named."""
    for entry in entries:
        name, _, pin = entry.partition("@")
        if name == tool:
            return pin
    return None


def _allowed(tool: types.Tool, use: Use, pin: str) -> tuple[Use, str]:
    if pin and pin != (now := pin_of(tool)):
        return (
            Use.NOTHING,
            f"{tool.name} is not what was allowed: read it again, and if it is well name {tool.name}@{now}",
        )
    if use is Use.EYES and says_it_writes(tool):
        return Use.NOTHING, f"{tool.name} declares that it writes: it can be named in hands, not in allow"
    return use, ""
