"""From labels to who measured, and back: which labels name a service, an instance, a version, and which select them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from midwatch_metrics.backend import Selection

UNKNOWN: Final = "unknown_service"
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STATUS: Final = re.compile(r"[1-5](\d\d|xx)", re.IGNORECASE)
_STATUS_LABELS: Final = ("http_response_status_code", "status_code", "response_code", "code", "status")
STATUS: Final = "http.response.status_code"
_CONVENTIONS: Final = {
    "http_status_code": "http.status_code",
    "error_type": "error.type",
    "service_peer_name": "service.peer.name",
    "peer_service": "peer.service",
}
"""Labels that OpenTelemetry's conventions know by a name with dots, and tools here know by that name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a series is of."""

    service: str
    instance: str
    version: str


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Labels that name the service, the instance and the version; of each the first that a series has counts."""

    service: tuple[str, ...]
    instance: tuple[str, ...]
    version: tuple[str, ...]

    def identity(self, labels: Mapping[str, str]) -> Identity:
        """Return who a series with these labels is of; the part of a job after a slash is the service."""
        service = _first(labels, self.service)
        named = labels[service].rsplit("/", 1)[-1] if service == "job" else labels.get(service, "")
        instance, version = (labels.get(_first(labels, names), "") for names in (self.instance, self.version))
        return Identity(named or UNKNOWN, instance, version)

    def attributes(self, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return what labels say beside who measured, by the names that conventions have for them."""
        own = self.identity(labels)
        dull = {"__name__", "le", "job", *self.instance, *self.version}
        kept = [
            (name, value)
            for name, value in labels.items()
            if name not in dull and not (name in self.service and value.rsplit("/", 1)[-1] == own.service)
        ]
        return tuple(sorted((_attribute(name, value, labels), value) for name, value in kept))

    @property
    def names(self) -> tuple[str, ...]:
        """All labels that say who measured."""
        return tuple(dict.fromkeys((*self.service, *self.instance)))

    def selectors(self, names: str, selection: Selection) -> list[str]:
        """Return selectors that together find the series of a selection, and hardly any other.

        `names` is what is asked of the name. Whichever label names a service, those before it must be empty.
        """
        fixed = [part for part in (names, *map(self._filter, selection.attributes.items())) if part]
        wanted = [
            *_one_of(self.service, selection.services, UNKNOWN),
            *_one_of(self.instance, selection.instances, ""),
        ]
        return [f"{{{','.join([*fixed, *parts])}}}" for parts in (wanted or [[]])]

    def _filter(self, pair: tuple[str, str]) -> str:
        """A filter as a matcher; '' where several labels may go by that name, so that the answer must be looked at."""
        name, value = pair
        plain = name.replace(".", "_")
        if not _NAME.fullmatch(plain) or plain in _STATUS_LABELS:
            return ""
        return f"{plain}={quoted(value)}"


def fits(attributes: Iterable[tuple[str, str]], labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a series has all the attributes wanted, by either of their names."""
    known = {**labels, **dict(attributes)}
    return all(known.get(name, known.get(name.replace(".", "_"))) == value for name, value in wanted.items())


def one_of_names(names: Sequence[str]) -> str:
    """Return the matcher of any of these metrics."""
    if len(names) == 1:
        return f"__name__={quoted(names[0])}"
    return f"__name__=~{quoted('|'.join(map(re.escape, names)))}"


def quoted(text: str) -> str:
    """Return a text as a string of PromQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((name for name in names if labels.get(name)), "")


def _attribute(name: str, value: str, labels: Mapping[str, str]) -> str:
    """The name that conventions have: a label may be any of several for a status, if its value reads as one."""
    if name in _STATUS_LABELS and _STATUS.fullmatch(value) and name == _first(labels, _STATUS_LABELS):
        return STATUS
    return _CONVENTIONS.get(name, name)


def _one_of(labels: Sequence[str], values: Sequence[str], absent: str) -> list[list[str]]:
    """Matchers for each label that may hold one of the values; `absent` stands for none of the labels."""
    found = []
    named = [value for value in values if value != absent]
    if named:
        for i, label in enumerate(labels):
            before = [f'{other}=""' for other in labels[:i]]
            found.append([*before, _matcher(label, named)])
    if absent in values:
        found.append([f'{label}=""' for label in labels])
    return found


def _matcher(label: str, values: Sequence[str]) -> str:
    if label == "job":  # OpenTelemetry puts the namespace before the service
        return f"job=~{quoted('(.*/)?(' + '|'.join(map(re.escape, values)) + ')')}"
    if len(values) == 1:
        return f"{label}={quoted(values[0])}"
    return f"{label}=~{quoted('|'.join(map(re.escape, values)))}"
