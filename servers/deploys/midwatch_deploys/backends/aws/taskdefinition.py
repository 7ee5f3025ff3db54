"""What differs between two task definitions: images, sizes, and which variables; never a variable's value. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from midwatch_deploys.containers import by_name, differing, differing_unshown, differing_values

_OF_TASK: Final = ("cpu", "memory", "networkMode", "taskRoleArn", "executionRoleArn", "runtimePlatform")
_SIZES: Final = ("image", "cpu", "memory", "memoryReservation", "essential", "startTimeout", "stopTimeout", "ulimits")
_PLACES: Final = ("portMappings", "dependsOn", "mountPoints", "readonlyRootFilesystem", "user", "workingDirectory")
_UNSHOWN: Final = ("command", "entryPoint", "healthCheck", "logConfiguration", "linuxParameters")


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Return what differs, one line each; without a definition before, what there is."""
    old = before or {}
    lines = [*differing(old, after, _OF_TASK)]
    was, now = by_name(old.get("containerDefinitions")), by_name(after.get("containerDefinitions"))
    lines += [f"- container {name}" for name in was if name not in now]
    for name, container in now.items():
        if name not in was:
            lines.append(f"+ container {name}")
        lines += [f"{name}: {line}" for line in _of_container(was.get(name, {}), container)]
    return lines or ["(the task definitions are alike)"]


def _of_container(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    yield from differing(before, after, (*_SIZES, *_PLACES))
    yield from differing_unshown(before, after, _UNSHOWN)
    for what, part, value in (("environment", "environment", "value"), ("secret", "secrets", "valueFrom")):
        yield from differing_values(what, _pairs(before, part, value), _pairs(after, part, value))


def _pairs(container: Mapping[str, Any], part: str, value: str) -> dict[str, str]:
    return {name: each.get(value, "") for name, each in by_name(container.get(part)).items()}
