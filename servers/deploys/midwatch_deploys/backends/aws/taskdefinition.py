"""What differs between two task definitions: images, sizes, and which variables; never a variable's value. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from midwatch_kit.secrets import HIDDEN

_OF_TASK: Final = ("cpu", "memory", "networkMode", "taskRoleArn", "executionRoleArn", "runtimePlatform")
_OF_CONTAINER: Final = (
    "image cpu memory memoryReservation essential portMappings dependsOn readonlyRootFilesystem user "
    "workingDirectory ulimits mountPoints startTimeout stopTimeout"
)
_UNSHOWN: Final = ("command", "entryPoint", "healthCheck", "logConfiguration", "linuxParameters")
"""Parts that may carry secrets, or are long: only that they differ is told."""


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Return what differs, one line each; without a definition before, what there is."""
    old = before or {}
    lines = [*_differing(old, after, _OF_TASK)]
    was, now = _by_name(old.get("containerDefinitions", [])), _by_name(after.get("containerDefinitions", []))
    lines += [f"- container {name}" for name in was if name not in now]
    for name, container in now.items():
        if name not in was:
            lines.append(f"+ container {name}")
        lines += [f"{name}: {line}" for line in _of_container(was.get(name, {}), container)]
    return lines or ["(the task definitions are alike)"]


def _of_container(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    yield from _differing(before, after, _OF_CONTAINER.split())
    yield from (f"{part} differs" for part in _UNSHOWN if before.get(part) != after.get(part))
    yield from _names("environment", _pairs(before, "environment", "value"), _pairs(after, "environment", "value"))
    yield from _names("secret", _pairs(before, "secrets", "valueFrom"), _pairs(after, "secrets", "valueFrom"))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any], parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        old, new = before.get(part), after.get(part)
        if old != new and not (old in (None, []) and new in (None, [])):
            yield f"{part}: {'' if old is None else f'{old} -> '}{'none' if new is None else new}"


def _names(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"+ {what} {name} = {HIDDEN}"
        elif name not in after:
            yield f"- {what} {name}"
        elif before[name] != after[name]:
            yield f"{what} {name}: {HIDDEN} -> {HIDDEN}, another value"


def _pairs(container: Mapping[str, Any], part: str, value: str) -> dict[str, str]:
    return {each["name"]: each.get(value, "") for each in container.get(part, [])}


def _by_name(containers: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {each["name"]: each for each in containers}
