"""What differs between two pod templates, and what they use. Values of variables are never told. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from midwatch_deploys.containers import by_name, differing, differing_unshown, differing_values
from midwatch_deploys.images import Image

_OF_POD: Final = ("serviceAccountName", "nodeSelector", "priorityClassName", "terminationGracePeriodSeconds")
_OF_POD_UNSHOWN: Final = ("affinity", "tolerations", "volumes", "securityContext", "topologySpreadConstraints")
_OF_CONTAINER: Final = ("image", "resources", "ports", "imagePullPolicy", "workingDir")
_UNSHOWN: Final = (
    *("command", "args", "livenessProbe", "readinessProbe", "startupProbe"),
    *("lifecycle", "securityContext", "volumeMounts", "envFrom"),
)


def images_of(template: Mapping[str, Any]) -> dict[str, Image]:
    """Return the images of a template by their containers, those that only prepare left aside."""
    return {name: Image.of(each.get("image", "")) for name, each in by_name(_spec(template).get("containers")).items()}


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Return what differs, one line each; without a template before, what there is."""
    old, new = _spec(before or {}), _spec(after)
    lines = [*differing(old, new, _OF_POD), *differing_unshown(old, new, _OF_POD_UNSHOWN)]
    lines += differing_values("annotation", _annotations(before or {}), _annotations(after))
    for part in ("initContainers", "containers"):
        was, now = by_name(old.get(part)), by_name(new.get(part))
        lines += [f"- container {name}" for name in was if name not in now]
        for name, container in now.items():
            lines += [f"+ container {name}"] if name not in was else []
            lines += [f"{name}: {line}" for line in _of_container(was.get(name, {}), container)]
    return lines


def used_by(template: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the ConfigMaps and Secrets that a template uses, as kind and name."""
    spec = _spec(template)
    return {
        *(found for volume in spec.get("volumes") or [] for found in _of_volume(volume)),
        *(found for part in ("initContainers", "containers") for c in spec.get(part) or [] for found in _of_env(c)),
    }


def _of_container(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    yield from differing(before, after, _OF_CONTAINER)
    yield from differing_unshown(before, after, _UNSHOWN)
    yield from differing_values("environment", by_name(before.get("env")), by_name(after.get("env")))


def _of_volume(volume: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if name := (volume.get("configMap") or {}).get("name"):
        yield "ConfigMap", name
    if name := (volume.get("secret") or {}).get("secretName"):
        yield "Secret", name
    sources: Sequence[Mapping[str, Any]] = (volume.get("projected") or {}).get("sources") or []
    for source in sources:
        for kind, part in (("ConfigMap", "configMap"), ("Secret", "secret")):
            if name := (source.get(part) or {}).get("name"):
                yield kind, name


def _of_env(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    wholes: Sequence[Mapping[str, Any]] = container.get("envFrom") or []
    singles = [each.get("valueFrom") or {} for each in container.get("env") or []]
    for sources, ends in ((wholes, "Ref"), (singles, "KeyRef")):
        for source in sources:
            for kind, part in (("ConfigMap", "configMap"), ("Secret", "secret")):
                if name := (source.get(part + ends) or {}).get("name"):
                    yield kind, name


def _spec(template: Mapping[str, Any]) -> Mapping[str, Any]:
    return template.get("spec") or {}


def _annotations(template: Mapping[str, Any]) -> Mapping[str, Any]:
    return (template.get("metadata") or {}).get("annotations") or {}
