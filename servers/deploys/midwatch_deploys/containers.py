"""What differs between containers as they were and as they are: names and sizes, never a variable's value. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from midwatch_kit.secrets import HIDDEN

_NOTHING: Final[tuple[object, ...]] = (None, [], {}, "")


def differing(before: Mapping[str, Any], after: Mapping[str, Any], parts: Sequence[str]) -> Iterator[str]:
    """Yield the parts that differ, as they were and as they are."""
    for part in parts:
        old, new = before.get(part), after.get(part)
        if old != new and not (old in _NOTHING and new in _NOTHING):
            yield f"{part}: {'' if old in _NOTHING else f'{old} -> '}{'none' if new in _NOTHING else new}"


def differing_unshown(before: Mapping[str, Any], after: Mapping[str, Any], parts: Sequence[str]) -> Iterator[str]:
    """Yield which parts differ and not how: they may carry secrets, or are long."""
    return (f"{part} differs" for part in parts if (before.get(part) or None) != (after.get(part) or None))


def differing_values(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield which names came, went, or have another value."""
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"+ {what} {name} = {HIDDEN}"
        elif name not in after:
            yield f"- {what} {name}"
        elif before[name] != after[name]:
            yield f"{what} {name}: {HIDDEN} -> {HIDDEN}, another value"


def by_name(things: Sequence[Mapping[str, Any]] | None) -> dict[str, Mapping[str, Any]]:
    """Return things by their names."""
    return {each["name"]: each for each in things or []}
